// Package filestore keeps files by what is in them: each under its SHA256E key, in a directory of this machine. It
// owns the layout of that directory, and that what is there under a key is whole and never changes.
//
//	<dir>/091/de9/SHA256E-s5--2cf2….txt    a file, mode 0444; the directories come from the key's MD5
//	<dir>/tmp/                             what is being inserted, and what crashes left of it
//
// A file's time of modification is when somebody last stored its content or found it here, so that what is old and what
// nobody names can be collected while others insert: both lock the file (flock) for the moment.
package filestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"syscall"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
)

// tmpDir holds unfinished files. No directory of keys has this name, since it is no hexadecimal number.
const tmpDir = "tmp"

// Options of a Store; the zero value works.
type Options struct {
	// MaxExtension is the longest part of an extension, in bytes, that goes into a key: git-annex's
	// annex.maxextensionlength. Zero is dataset.DefaultExtensionLength.
	MaxExtension int
}

// Info describes a file of the store.
type Info struct {
	Key     dataset.Key
	Size    int64     // of the file; where it is not the key's, the file is corrupt
	ModTime time.Time // when it was stored, or found by an insertion
	// ChangeTime is when the file system last noted anything of it. Nobody can set it.
	ChangeTime time.Time
}

// Store is an open file store. Its methods may be called concurrently, and several processes may use one directory.
// A key that is not there is fs.ErrNotExist, and a file that is not what its key says fault.ErrCorrupt.
type Store struct {
	tree         *durable.Tree
	maxExtension int
}

// Open opens the store in dir, which has to exist: a disk that is not mounted is not an empty store. It writes
// nothing.
func Open(dir string, o Options) (*Store, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, fmt.Errorf("open file store: %w", err)
	}
	if o.MaxExtension == 0 {
		o.MaxExtension = dataset.DefaultExtensionLength
	}
	return &Store{tree: durable.New(dir), maxExtension: o.MaxExtension}, nil
}

// Dir is the directory that all files lie in.
func (s *Store) Dir() string { return s.tree.Root() }

// Path is where the file of a key lies, whether it is there or not.
func (s *Store) Path(key dataset.Key) string { return s.tree.Path(fileName(key)) }

// Open opens the file of a key for reading. A file whose size is not the key's is fault.ErrCorrupt; the hash is not
// looked at.
func (s *Store) Open(key dataset.Key) (*os.File, error) {
	f, info, err := durable.OpenRegular(s.Path(key), false)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", key, err)
	}
	if err := checkSize(key, info.Size()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Stat describes the file of a key as it is on disk.
func (s *Store) Stat(key dataset.Key) (Info, error) {
	info, err := os.Stat(s.Path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, fmt.Errorf("stat key %s: %w", key, err)
	}
	return infoOf(key, info), nil
}

func infoOf(key dataset.Key, info fs.FileInfo) Info {
	i := Info{Key: key, Size: info.Size(), ModTime: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		i.ChangeTime = time.Unix(st.Ctim.Unix())
	}
	return i
}

// Verify says fault.ErrCorrupt, and how, when the file is not what its key says: at once when its size is wrong,
// after reading it all when only its bytes are.
func (s *Store) Verify(ctx context.Context, key dataset.Key) error {
	f, err := s.Open(key)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, err := hashFile(ctx, f)
	if err != nil {
		return fmt.Errorf("verify key %s: %w", key, err)
	}
	if sum != key.Sum {
		return fmt.Errorf("%w: key %s: the content has SHA-256 %x", fault.ErrCorrupt, key, sum)
	}
	return nil
}

// Delete removes the file of a key, durably. One that is not there is no error; who has it open can go on reading.
func (s *Store) Delete(key dataset.Key) error {
	if err := s.tree.Remove(fileName(key)); err != nil {
		return fmt.Errorf("delete key %s: %w", key, err)
	}
	return nil
}

// Leftovers yields what insertions that never ended left behind, as far as it was written to before that time: choose one
// that no living insertion can be older than. See durable.Tree.Leftovers.
func (s *Store) Leftovers(before time.Time) iter.Seq2[durable.Leftover, error] {
	return s.tree.Leftovers(tmpDir, false, before)
}

// RemoveLeftovers removes all of Leftovers, and returns how many files it was.
func (s *Store) RemoveLeftovers(before time.Time) (int, error) {
	removed := 0
	for left, err := range s.Leftovers(before) {
		if err == nil {
			err = os.Remove(left.Path)
		}
		if err != nil {
			return removed, fmt.Errorf("remove leftovers: %w", err)
		}
		removed++
	}
	return removed, nil
}

func fileName(key dataset.Key) string { return key.HashDir() + "/" + key.String() }

func checkSize(key dataset.Key, size int64) error {
	if size == key.Size {
		return nil
	}
	return fmt.Errorf("%w: key %s: the content has %d bytes", fault.ErrCorrupt, key, size)
}

func hashFile(ctx context.Context, f *os.File) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, &reader{ctx, f}); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
