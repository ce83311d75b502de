package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// clockSkew is how far a bucket's clock may be from ours.
const clockSkew = 5 * time.Minute

// abandonedAdd is an Add that was interrupted long ago. Its journal is held, so that nobody goes on with it.
type abandonedAdd struct {
	file *os.File
	path string // of its revision
}

// findAdds finds out which Adds are running, have been interrupted, and were abandoned. What was stored since the first
// of the running ones began is not touched, nor the revision that an Add will go on with.
func (c *collector) findAdds(context.Context) error {
	journals, err := filepath.Glob(filepath.Join(c.Staging, "add-*.json"))
	if err != nil {
		return err
	}
	for _, path := range journals {
		if err := c.findAdd(path); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) findAdd(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is done, so that its files have rows
	}
	if err != nil {
		return err
	}
	keep, err := c.judgeAdd(f)
	if keep && err == nil {
		return nil
	}
	return errors.Join(err, f.Close())
}

// judgeAdd looks at a journal, and keeps that of an abandoned Add. Others are not locked: an Add may be about to.
func (c *collector) judgeAdd(f *os.File) (keep bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	var living bool
	old := info.ModTime().Before(c.o.Before)
	if old {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		living = errors.Is(err, unix.EWOULDBLOCK)
		if err != nil && !living {
			return false, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
	var e entry
	_ = json.NewDecoder(f).Decode(&e) // what cannot be read was never finished: nothing was found or stored before
	now, err := os.Stat(f.Name())
	switch {
	case err != nil || !os.SameFile(now, info): // it was done meanwhile
		return false, ignore(err, fs.ErrNotExist)
	case old && !living && now.ModTime().Equal(info.ModTime()):
		c.abandoned = append(c.abandoned, abandonedAdd{f, e.Path})
		return true, nil
	}
	c.paths[e.Path] = true
	if began := info.ModTime(); living && began.Before(c.before) {
		c.before = began
	}
	return false, nil
}

// inFlight are the urls of what commits from the staging directory have moved or are about to move. Whoever asks after he
// has met something meets it here too, unless its commit is over: then the database knows.
func (i *Ingester) inFlight() (map[string]bool, error) {
	urls := map[string]bool{}
	dir := filepath.Join(i.Staging, intentDir)
	journals, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, path := range journals {
		in, err := readIntent(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		in.name(urls)
	}
	for n := range segments {
		if err := spooled(segmentPath(dir, n), urls); err != nil {
			return nil, err
		}
	}
	return urls, nil
}

// name notes the urls of an intent, which may be nil.
func (in *intent) name(urls map[string]bool) {
	if in == nil {
		return
	}
	for _, f := range in.Files {
		urls[f.URL] = true
	}
}

// spooled notes what a segment of the spool names, also what is done: its content may have to be stored again.
func spooled(path string, urls map[string]bool) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	seg := &segment{file: f}
	err = seg.each(func(head, _ []byte, _ byte) error {
		in := &intent{}
		if err := json.Unmarshal(head, in); err != nil {
			return err
		}
		in.name(urls)
		return nil
	})
	return errors.Join(err, f.Close())
}
