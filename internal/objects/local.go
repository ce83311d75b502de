package objects

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
)

// local keeps each object in the file of its key.
type local struct {
	tree *durable.Tree
}

func openLocal(dir string) (*local, error) {
	l := &local{tree: durable.New(dir)}
	return l, l.check(context.Background())
}

func (l *local) check(context.Context) error {
	info, err := os.Stat(l.tree.Root())
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: l.tree.Root(), Err: unix.ENOTDIR}
	}
	return err
}

func (l *local) close() error { return nil }

func (l *local) put(_ context.Context, key string, data []byte) (Info, error) {
	return l.write(key, func(f *durable.File) error {
		_, err := f.Write(data)
		return err
	})
}

func (l *local) putFile(ctx context.Context, key string, src source, o PutOptions) (Info, bool, error) {
	if o.Move {
		err := l.tree.Rename(src.File, src.path, key, false)
		if err == nil {
			now, err := src.Stat() // its time has changed
			if err != nil {
				return Info{}, false, err
			}
			return localInfo(key, now), true, nil
		}
		if !errors.Is(err, durable.ErrCopy) {
			return Info{}, false, err
		}
	}
	info, err := l.write(key, func(f *durable.File) error {
		var h hash.Hash
		if o.SHA256 != [32]byte{} {
			h = sha256.New()
		}
		if _, err := f.CopyFrom(ctx, src.File, h); err != nil {
			return err
		}
		return checkHash(h, o.SHA256)
	})
	return info, false, err
}

// write makes an object of what fill writes.
func (l *local) write(key string, fill func(*durable.File) error) (Info, error) {
	dir, _ := splitKey(key)
	f, err := l.tree.Create(dir)
	if err != nil {
		return Info{}, err
	}
	defer f.Discard()
	if err := fill(f); err != nil {
		return Info{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	return localInfo(key, info), f.Commit(key, false)
}

func (l *local) stat(_ context.Context, key string) (Info, error) {
	info, err := os.Stat(l.tree.Path(key))
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, missing(err)
	}
	return localInfo(key, info), nil
}

func (l *local) open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	f, err := os.Open(l.tree.Path(key))
	if err != nil {
		return nil, missing(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if length < 0 {
		length = max(info.Size()-offset, 0)
	}
	return &fileRange{ctx: ctx, Reader: io.NewSectionReader(f, offset, length), Closer: f}, nil
}

func (l *local) remove(_ context.Context, key string) error {
	path := l.tree.Path(key)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil // a directory is no object
	}
	return l.tree.Remove(key)
}

func (l *local) statFS() (total, free uint64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(l.tree.Root(), &st); err != nil {
		return 0, 0, false
	}
	size := uint64(st.Frsize)
	return st.Blocks * size, st.Bavail * size, true
}

// fileRange is a part of a file, for as long as its context lives.
type fileRange struct {
	ctx context.Context
	io.Reader
	io.Closer
}

func (r *fileRange) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func localInfo(key string, info fs.FileInfo) Info {
	return Info{
		Key:     key,
		Size:    info.Size(),
		ETag:    fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano()),
		ModTime: info.ModTime(),
	}
}

// missing says fs.ErrNotExist where a file stands in the place of a directory too.
func missing(err error) error {
	if errors.Is(err, unix.ENOTDIR) {
		return fs.ErrNotExist
	}
	return err
}

// checkHash compares what went through h with what was promised; a nil h was promised nothing.
func checkHash(h hash.Hash, want [32]byte) error {
	if h == nil || [32]byte(h.Sum(nil)) == want {
		return nil
	}
	return fmt.Errorf("%w: the content has SHA-256 %x, not %x", fault.ErrCorrupt, h.Sum(nil), want)
}
