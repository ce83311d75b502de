package ingest

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// journal tells the next Add to a table that one was interrupted, and where its objects lie; and the collector of garbage
// since when an Add is running. Whoever holds it is alone with it on this machine; an Add that finds it held has one that
// nobody looks for, and so cannot be resumed.
type journal struct {
	file    *os.File // nil once it is closed
	entry   entry
	private bool // no other Add looks for it
	resumed bool // an Add was interrupted
}

// entry is what a journal holds.
type entry struct {
	Table    string    `json:"table"`
	Revision uuid.UUID `json:"revision"` // a new one; zero where an Add appends
	Path     string    `json:"path"`     // of the revision
}

// openJournal opens the journal for adding to the table, or for replacing its files.
func openJournal(dir string, table string, replace bool) (*journal, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %t", table, replace))
	path := filepath.Join(dir, fmt.Sprintf("add-%x.json", sum[:8]))
	private := false
	for {
		j, err := holdJournal(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			path, private = filepath.Join(dir, "add-"+uuid.NewString()+".json"), true
			continue
		}
		if j != nil {
			j.private = private
		}
		if j != nil || err != nil {
			return j, err
		}
	}
}

// holdJournal returns nil when the one it opened was removed before it could be held, and unix.EWOULDBLOCK for one that
// somebody else holds.
func holdJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	held, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(held, named) {
		return nil, f.Close()
	}
	j := &journal{file: f}
	if held.Size() > 0 {
		// What cannot be read was never finished, so that nothing was stored after it.
		j.resumed = json.NewDecoder(f).Decode(&j.entry) == nil
	}
	return j, nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// write makes the entry durable: from now on an interruption can be resumed.
func (j *journal) write(e entry) error {
	j.entry = e
	if j.file == nil {
		return nil
	}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	if _, err := j.file.WriteAt(data, 0); err != nil {
		return err
	}
	return j.file.Sync()
}

// close gives the journal up; unless it is to be kept for a later Add it is removed.
func (j *journal) close(keep bool) error {
	if j.file == nil {
		return nil
	}
	var err error
	if !keep {
		err = os.Remove(j.file.Name())
	}
	err = errors.Join(err, j.file.Close())
	j.file = nil
	return err
}
