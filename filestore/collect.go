package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

// Refresh makes the file of a key, which has to be of the key's size, as young as one that is stored now: Collect leaves
// it alone for as long. Insertions do it to what they find. A file of another user is fs.ErrPermission.
func (s *Store) Refresh(key dataset.Key) error {
	f, info, err := s.lock(key, unix.LOCK_SH)
	if err != nil {
		return fmt.Errorf("refresh key %s: %w", key, err)
	}
	defer f.Close()
	if err := checkSize(key, info.Size()); err != nil {
		return err
	}
	if err := durable.Touch(f); err != nil {
		return fmt.Errorf("refresh key %s: %w", key, err)
	}
	return nil
}

// Collect removes the file of a key if it is older than that time and unnamed says that nobody names it. Until it is
// gone nobody can find it: who inserts the same content meanwhile waits, and stores it. It reports whether it removed the
// file; one that is gone, or that another one has locked, is no error.
func (s *Store) Collect(key dataset.Key, before time.Time, unnamed func() (bool, error)) (bool, error) {
	f, info, err := s.lock(key, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("collect key %s: %w", key, err)
	}
	defer f.Close()
	if !info.ModTime().Before(before) {
		return false, nil
	}
	if free, err := unnamed(); err != nil || !free {
		return false, err
	}
	return true, s.Delete(key)
}

// lock opens and locks the file that lies under a key when it has the lock.
func (s *Store) lock(key dataset.Key, how int) (*os.File, fs.FileInfo, error) {
	for {
		f, _, err := durable.OpenRegular(s.Path(key), false)
		if err != nil {
			return nil, nil, err
		}
		if err := flock(f, how); err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		info, err := f.Stat()
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(s.Path(key)); err == nil && os.SameFile(there, info) {
			return f, info, nil
		}
		if err := f.Close(); err != nil {
			return nil, nil, err
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
