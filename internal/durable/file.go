package durable

import (
	"context"
	"errors"
	"hash"
	"io"
	"os"
)

const (
	copyBuffer = 256 << 10
	// copyChunk is how much the kernel copies between two looks at the context; a multiple of every block size, so
	// that file systems that share blocks can.
	copyChunk = 64 << 20
)

// File is a file that is being written. Only Commit, or Detach and Tree.Place, makes it visible; Close leaves it to Discard.
type File struct {
	*os.File
	tree *Tree
	path string // of the unfinished file, empty when it is gone
}

// Commit makes the file durable under that slash-separated name, whose directories are made, and closes it. With
// exclusive, a name that is there stays as it is and the error is fs.ErrExist; else it is replaced. After an error
// the file is still there for another Commit or for Discard.
func (f *File) Commit(name string, exclusive bool) error {
	if err := f.tree.commit(f.File, f.path, name, exclusive); err != nil {
		return err
	}
	f.path = ""
	return f.Close()
}

// Detach closes the file, which has all its content and stays unfinished at that path, for Tree.Place. Nothing of it is
// durable before Tree.SyncAll.
func (f *File) Detach() (path string, err error) {
	if err := f.Chmod(Mode); err != nil {
		return "", err
	}
	path, f.path = f.path, ""
	return path, f.Close()
}

// Discard closes and removes the file, and does nothing after Commit: made to be deferred.
func (f *File) Discard() {
	if f.path == "" {
		return
	}
	// What cannot be removed keeps a name that IsTemp knows.
	_ = os.Remove(f.path)
	_ = f.Close()
	f.path = ""
}

// CopyFrom appends what r has until EOF, writing it to h as well unless h is nil, and returns the bytes copied. From a
// file and without h the kernel copies, and shares blocks where the file system can. It ends with the context's error
// when that is done first.
func (f *File) CopyFrom(ctx context.Context, r io.Reader, h hash.Hash) (int64, error) {
	if src, ok := r.(*os.File); ok && h == nil {
		return f.copyFile(ctx, src)
	}
	buf, ok := f.tree.buffers.Get().(*[copyBuffer]byte)
	if !ok {
		buf = new([copyBuffer]byte)
	}
	defer f.tree.buffers.Put(buf)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := r.Read(buf[:])
		if n > 0 {
			if h != nil {
				h.Write(buf[:n])
			}
			if _, err := f.Write(buf[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (f *File) copyFile(ctx context.Context, src *os.File) (int64, error) {
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := io.CopyN(f.File, src, copyChunk)
		total += n
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
