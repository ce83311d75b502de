package filestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
)

// Insert stores what r has until EOF, under the key of that content and of name's extension. When it returns without
// an error the file is there, whole and durable; after any error or crash nothing of it can be seen. Created is
// false when a file of that key and the right size was there, of which nothing but the time changes (see Refresh); one of
// another size is replaced.
func (s *Store) Insert(ctx context.Context, r io.Reader, name string) (key dataset.Key, created bool, err error) {
	f, err := s.tree.Create(tmpDir)
	if err != nil {
		return key, false, fmt.Errorf("insert %q: %w", name, err)
	}
	defer f.Discard()
	h := sha256.New()
	size, err := f.CopyFrom(ctx, r, h)
	if err != nil {
		return key, false, fmt.Errorf("insert %q: %w", name, err)
	}
	key = s.key(size, [sha256.Size]byte(h.Sum(nil)), name)
	created, err = s.place(key, func(exclusive bool) error { return f.Commit(fileName(key), exclusive) })
	return key, created, err
}

// InsertFile is Insert for the content of the regular file at path. A key that the caller knows saves a reading, and
// is not changed by name; content that is not the key's is fault.ErrCorrupt and is not stored.
//
// With move the source is removed, after the content is durable and never before. On the same file system it becomes
// the stored file by a rename, and with a known key without being read: but for the size that key is then the
// caller's word. A symbolic link cannot be moved (fs.ErrInvalid).
func (s *Store) InsertFile(
	ctx context.Context, path string, key *dataset.Key, name string, move bool,
) (dataset.Key, bool, error) {
	src, info, err := durable.OpenRegular(path, move)
	if err != nil {
		return dataset.Key{}, false, fmt.Errorf("insert: %w", err)
	}
	defer src.Close()
	if key == nil && !move {
		return s.Insert(ctx, src, name)
	}
	known, err := s.sourceKey(ctx, src, info, key, name)
	if err != nil {
		return dataset.Key{}, false, fmt.Errorf("insert %s: %w", path, err)
	}
	moved := false
	created, err := s.place(known, func(exclusive bool) error {
		if move {
			err := s.tree.Rename(src, path, fileName(known), exclusive)
			if !errors.Is(err, durable.ErrCopy) {
				moved = err == nil
				return err
			}
		}
		return s.copyTo(ctx, known, src, exclusive)
	})
	if err == nil && move && !moved {
		err = os.Remove(path)
	}
	return known, created, err
}

// Adopt moves the file at path into the store, as InsertFile does with move and a known key, for who keeps its content
// elsewhere until Sync has made it durable here. It is durable.ErrCopy where the file cannot be moved as it is.
func (s *Store) Adopt(path string, key dataset.Key) (created bool, err error) {
	src, info, err := durable.OpenRegular(path, true)
	if err == nil {
		defer src.Close()
		err = checkSize(key, info.Size())
	}
	if err == nil {
		err = s.tree.Adopt(src, path, fileName(key))
	}
	if errors.Is(err, fs.ErrExist) {
		if s.Refresh(key) != nil {
			return false, durable.ErrCopy // it is of another size, gone again, or another user's
		}
		return false, os.Remove(path)
	}
	if err != nil {
		return false, fmt.Errorf("adopt %s: %w", path, err)
	}
	return true, nil
}

// What has to be free for HasRoomFor.
const (
	roomBytes = 64 << 20
	roomFiles = 4096
)

// HasRoomFor tells whether files of a file system, by its device number, can be moved here, and a few more will surely not
// fill it.
func (s *Store) HasRoomFor(dev uint64) bool {
	var root unix.Stat_t
	var room unix.Statfs_t
	if unix.Stat(s.tree.Root(), &root) != nil || root.Dev != dev || unix.Statfs(s.tree.Root(), &room) != nil {
		return false
	}
	counted := room.Files > 0 // not by btrfs, which makes room
	return int64(room.Bavail)*room.Bsize >= roomBytes && (!counted || room.Ffree >= roomFiles)
}

// Sync makes durable what was adopted.
func (s *Store) Sync() error { return s.tree.SyncAll() }

// sourceKey is the key that the caller knows, or the one of what is in the file.
func (s *Store) sourceKey(
	ctx context.Context, src *os.File, info fs.FileInfo, known *dataset.Key, name string,
) (dataset.Key, error) {
	if known != nil {
		return *known, checkSize(*known, info.Size())
	}
	sum, err := hashFile(ctx, src)
	if err != nil {
		return dataset.Key{}, err
	}
	return s.key(info.Size(), sum, name), nil
}

// copyTo stores a copy of src if that is what the key says.
func (s *Store) copyTo(ctx context.Context, key dataset.Key, src *os.File, exclusive bool) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	f, err := s.tree.Create(tmpDir)
	if err != nil {
		return err
	}
	defer f.Discard()
	h := sha256.New()
	size, err := f.CopyFrom(ctx, src, h)
	if err != nil {
		return err
	}
	if err := checkSize(key, size); err != nil {
		return err
	}
	if sum := [sha256.Size]byte(h.Sum(nil)); sum != key.Sum {
		return fmt.Errorf("%w: the content has SHA-256 %x", fault.ErrCorrupt, sum)
	}
	return f.Commit(fileName(key), exclusive)
}

// place calls commit to put the key's file into its place, unless it is there already, and reports whether it did.
// Of several that place one key at a time exactly one is told that it did.
func (s *Store) place(key dataset.Key, commit func(exclusive bool) error) (created bool, err error) {
	for {
		info, err := s.Stat(key)
		absent := errors.Is(err, fs.ErrNotExist)
		switch {
		case err == nil && info.Size == key.Size:
			err = s.find(key, commit, &created)
		case err == nil || absent:
			created = true
			err = commit(absent)
		}
		switch {
		case err == nil:
			return created, nil
		case absent && errors.Is(err, fs.ErrExist), errors.Is(err, errGone):
			created = false // somebody was faster: look again
		default:
			return false, fmt.Errorf("insert key %s: %w", key, err)
		}
	}
}

// find takes the file that is there. One whose time we may not change, because it is another user's, is replaced.
func (s *Store) find(key dataset.Key, commit func(exclusive bool) error, created *bool) error {
	err := s.Refresh(key)
	switch {
	case err == nil:
		return s.tree.Settle(fileName(key))
	case errors.Is(err, fs.ErrPermission):
		*created = true
		return commit(false)
	case errors.Is(err, fs.ErrNotExist):
		return errGone
	default:
		return err
	}
}

// errGone says that a file was there a moment ago.
var errGone = errors.New("the file is gone")

func (s *Store) key(size int64, sum [sha256.Size]byte, name string) dataset.Key {
	return dataset.Key{Size: size, Sum: sum, Ext: dataset.Extension(name, s.maxExtension)}
}
