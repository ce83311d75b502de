package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

const (
	smallFile   = 256 << 10 // up to which size a file goes through the spool: twice as fast at 100 KiB, no faster at 400
	segmentSize = 8 << 20
	segments    = 2
	flushDelay  = 50 * time.Millisecond

	spoolHead   = 16 // of a segment: magic and generation
	recordHead  = 32 // of a record: state, magic, generation, lengths and checksum
	spoolMagic  = "annexsp1"
	recordMagic = 0x31727861

	stateOpen = 1 // of a record: its commit may have to be undone
	stateDone = 2
)

// spool is a log of small files on their way into the file store: what is to be done with each, and its content. Its two
// segments are written in place, so that to make a file durable costs one flush of the disk, and not one for the file and
// for each new directory of the store. The file is moved there before its row is committed, and is durable there when a whole
// segment is: then the segment is written again from the beginning.
type spool struct {
	keep atomic.Bool // something in it is left to the next start

	mu      sync.Mutex // guards what follows
	open    bool
	all     [segments]*segment
	current int
}

// segment is one file of a spool.
type segment struct {
	file       *os.File
	generation uint64
	end        int64         // of its records
	busy       chan struct{} // closed when the files of an earlier generation are durable; nil where there is nothing to wait for
	failed     error         // why they are not

	users   sync.WaitGroup // of its records: commits that are under way
	written atomic.Int64   // bytes that were written so far, in all generations
	sync    sync.Mutex     // held while the disk is flushed
	synced  int64          // what of written is durable; guarded by sync
}

// spoolEntry is a record. Its segment is not written again before leave is called.
type spoolEntry struct {
	segment *segment
	offset  int64
	durable func() error // waits until it is
	leave   func()
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// keep begins to make a small file durable, and what is to be done with it.
func (p *publication) keep(ctx context.Context, s *stagedFile) error {
	head, err := json.Marshal(p.intent)
	if err != nil {
		return err
	}
	if err := p.recoverSpool(ctx); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		s.content = nil // there may be room for the file itself
		return p.intent.write(filepath.Join(p.Staging, intentDir))
	} else if err != nil {
		return err
	}
	// To wake another thread costs more than is won where the transaction does not wait for a server meanwhile.
	entry, err := p.spool.append(head, s.content, !p.Data.Embedded(), p.Files.Sync)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	p.intent.kept = entry
	return nil
}

// append adds a record, and begins to make it durable if that is to be done ahead of need.
func (s *spool) append(head, content []byte, ahead bool, settle func() error) (*spoolEntry, error) {
	size := int64(recordHead + len(head) + len(content))
	s.mu.Lock()
	defer s.mu.Unlock()
	seg, err := s.room(size, settle)
	if err != nil {
		return nil, err
	}
	entry := &spoolEntry{segment: seg, offset: seg.end}
	record := make([]byte, recordHead, size)
	record[0] = stateOpen
	binary.LittleEndian.PutUint32(record[4:], recordMagic)
	binary.LittleEndian.PutUint64(record[8:], seg.generation)
	binary.LittleEndian.PutUint32(record[16:], uint32(len(head)))
	binary.LittleEndian.PutUint32(record[20:], uint32(len(content)))
	record = append(append(record, head...), content...)
	binary.LittleEndian.PutUint32(record[24:], crc32.Checksum(record[4:], crcTable))
	if _, err := seg.file.WriteAt(record, seg.end); err != nil {
		return nil, err
	}
	mine := seg.written.Add(size)
	entry.durable = sync.OnceValue(func() error { return seg.flush(mine) })
	if ahead {
		seg.users.Go(func() { _ = entry.durable() }) // who asks for it again hears of an error
	} else { // the disk can write, though it does not flush yet
		_ = unix.SyncFileRange(int(seg.file.Fd()), seg.end, size, unix.SYNC_FILE_RANGE_WRITE)
	}
	seg.end += size
	seg.users.Add(1)
	entry.leave = sync.OnceFunc(seg.users.Done)
	return entry, nil
}

// flush makes durable what was written until then; of those who ask at once one does it for all.
func (g *segment) flush(mine int64) error {
	g.sync.Lock()
	defer g.sync.Unlock()
	if g.synced >= mine {
		return nil
	}
	upTo := g.written.Load()
	if err := unix.Fdatasync(int(g.file.Fd())); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: g.file.Name(), Err: err}
	}
	g.synced = upTo
	return nil
}

// room returns the segment that has room for a record. mu is held.
func (s *spool) room(size int64, settle func() error) (*segment, error) {
	seg := s.all[s.current]
	if seg.end+size <= segmentSize {
		return seg, nil
	}
	next := s.all[1-s.current]
	if next.busy != nil {
		<-next.busy
		if next.failed != nil {
			next.failed = settle()
		}
		if next.failed != nil {
			return nil, next.failed
		}
		next.busy = nil
	}
	if err := next.begin(); err != nil {
		return nil, err
	}
	seg.busy = make(chan struct{})
	go func() {
		defer close(seg.busy)
		seg.users.Wait() // what they are about to move there
		seg.failed = settle()
	}()
	s.current = 1 - s.current
	return next, nil
}

// begin begins a segment from the beginning, all of whose files are durable in the store.
func (g *segment) begin() error {
	g.generation++
	g.end = spoolHead
	head := append([]byte(spoolMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint64(head[8:], g.generation)
	_, err := g.file.WriteAt(head, 0)
	return err
}

// done says that nothing is left to be done for a record. It need not be durable.
func (e *spoolEntry) done() {
	if e == nil {
		return
	}
	_, _ = e.segment.file.WriteAt([]byte{stateDone}, e.offset) // else it is found to be done when it is looked at again
}

// flushLater makes durable that records of the segment were done, unless the next record does so a moment later. Until then
// the segment is not written again.
func (e *spoolEntry) flushLater() (begin func()) {
	g := e.segment
	g.users.Add(1)
	return func() {
		before := g.written.Load()
		time.AfterFunc(flushDelay, func() {
			defer g.users.Done()
			if g.written.Load() == before {
				_ = g.flush(g.written.Add(1)) // else they are found to be done when they are looked at again
			}
		})
	}
}

// close makes durable what is in the store, and the spool empty, unless something is to be kept.
func (s *spool) close(settle func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return nil
	}
	var errs []error
	for _, seg := range s.all {
		seg.users.Wait()
		if seg.busy != nil {
			<-seg.busy
		}
	}
	err := settle()
	errs = append(errs, err)
	for _, seg := range s.all {
		if err == nil && !s.keep.Load() {
			errs = append(errs, seg.begin())
		}
		errs = append(errs, seg.file.Close())
	}
	s.open = false
	return errors.Join(errs...)
}

// recoverSpool opens the spool, unless it is open, and settles what a crash has left in it.
func (i *Ingester) recoverSpool(ctx context.Context) error {
	i.spool.mu.Lock()
	defer i.spool.mu.Unlock()
	if i.spool.open {
		return nil
	}
	dir := filepath.Join(i.Staging, intentDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	found := false
	for n := range i.spool.all {
		seg, err := openSegment(segmentPath(dir, n))
		if err != nil {
			for _, opened := range i.spool.all[:n] {
				err = errors.Join(err, opened.file.Close())
			}
			return err
		}
		i.spool.all[n] = seg
		if err := seg.each(func(head, content []byte, state byte) error {
			found = true
			return i.recoverRecord(ctx, head, content, state)
		}); err != nil {
			return fmt.Errorf("%s: %w", seg.file.Name(), err)
		}
	}
	if found {
		if err := i.Files.Sync(); err != nil {
			return err
		}
	}
	for _, seg := range i.spool.all {
		if err := seg.begin(); err != nil {
			return err
		}
	}
	if err := i.removeAside(); err != nil {
		return err
	}
	i.spool.open, i.spool.current = true, 0
	return nil
}

// openSegment opens a segment's file, which is made and filled where it is not there, so that writing to it later changes
// nothing but content.
func openSegment(path string) (*segment, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	seg := &segment{file: f, end: spoolHead}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Size() != segmentSize {
		if _, err = f.WriteAt(make([]byte, segmentSize), 0); err == nil {
			err = f.Truncate(segmentSize)
		}
		if err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = durable.SyncDir(filepath.Dir(path))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path)) // which holds nothing yet
	}
	return seg, nil
}

func segmentPath(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("spool-%d", n)) }

// each calls fn for the records of a segment's last generation, as far as they are whole.
func (g *segment) each(fn func(head, content []byte, state byte) error) error {
	data := make([]byte, segmentSize)
	if _, err := g.file.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(data[:8]) != spoolMagic {
		return nil
	}
	g.generation = binary.LittleEndian.Uint64(data[8:])
	for rest := data[spoolHead:]; len(rest) > recordHead; {
		head := int64(binary.LittleEndian.Uint32(rest[16:]))
		size := recordHead + head + int64(binary.LittleEndian.Uint32(rest[20:]))
		if binary.LittleEndian.Uint32(rest[4:]) != recordMagic || binary.LittleEndian.Uint64(rest[8:]) != g.generation || size > int64(len(rest)) {
			return nil
		}
		sum := binary.LittleEndian.Uint32(rest[24:])
		clear(rest[24:28])
		if crc32.Checksum(rest[4:size], crcTable) != sum {
			return nil
		}
		if err := fn(rest[recordHead:recordHead+head], rest[recordHead+head:size], rest[0]); err != nil {
			return err
		}
		rest = rest[size:]
	}
	return nil
}

// recoverRecord makes sure that the content is in the file store, and that the file is published or staged.
func (i *Ingester) recoverRecord(ctx context.Context, head, content []byte, state byte) error {
	in := &intent{}
	if err := json.Unmarshal(head, in); err != nil || len(in.Files) != 1 {
		return fmt.Errorf("a record cannot be read: %w", err)
	}
	f := in.Files[0]
	key, err := dataset.ParseKey(strings.TrimPrefix(f.URL, KeyScheme))
	if err != nil {
		return err
	}
	if err := i.Files.Verify(ctx, key); err != nil {
		if err := i.Files.Delete(key); err != nil {
			return err
		}
		if err := i.insertAs(ctx, key, content); err != nil {
			return err
		}
	}
	if state == stateDone {
		return nil
	}
	done, err := i.registered(ctx, in)
	if err != nil {
		return err
	}
	if done {
		return i.finishIntent(ctx, in)
	}
	if in.Early {
		return i.redoEarly(ctx, in)
	}
	return i.undoIntent(ctx, in, false)
}

// insertAs stores content under its key.
func (i *Ingester) insertAs(ctx context.Context, key dataset.Key, content []byte) error {
	tmp, err := i.staging.Create("")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	if _, err := tmp.CopyFrom(ctx, bytes.NewReader(content), nil); err != nil {
		return err
	}
	_, _, err = i.Files.InsertFile(ctx, tmp.Name(), &key, "", true)
	return err
}
