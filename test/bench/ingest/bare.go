package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// bareFS takes files by FUSE and does nothing that is not needed to have their bytes on the disk when close returns: it
// writes them to one log that is long enough from the beginning and, where it is durable, flushes that. No hash, no names,
// no rows, nothing to read again. Who may do what is checked by the kernel, or by nobody.
type bareFS struct {
	fuse.RawFileSystem
	log     *os.File
	durable bool
	store   *bareStore // nil where nothing else is done with a file
	at      int64      // where log goes on; guarded by mu

	mu     sync.Mutex
	last   uint64               // even numbers are directories, odd ones files
	unsafe map[uint64]*bareFile // not yet in the log
}

const logSize = 64 << 20 // bytes, after which it is written again from the beginning

// serveBare mounts a bareFS until somebody unmounts it.
func serveBare(mountpoint, log, how string) (err error) {
	f, err := os.Create(log)
	if err != nil {
		return err
	}
	defer f.Close()
	zeros := make([]byte, 1<<20)
	for range logSize / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	bare := &bareFS{RawFileSystem: fuse.NewDefaultRawFileSystem(), log: f, durable: how != kept, last: fuse.FUSE_ROOT_ID, unsafe: map[uint64]*bareFile{}}
	if how == storing {
		if bare.store, err = newBareStore(log + ".store"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, bare.store.close()) }()
	}
	o := &fuse.MountOptions{Name: "bare", FsName: "bare", DisableXAttrs: true}
	if how == permitting {
		o.Options = []string{"default_permissions"}
	}
	server, err := fuse.NewServer(bare, mountpoint, o)
	if err != nil {
		return fmt.Errorf("mounting %s: %w", mountpoint, err)
	}
	server.Serve()
	return nil
}

func (b *bareFS) attr(id uint64, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = id, syscall.S_IFREG|0o644, 1
	if id == fuse.FUSE_ROOT_ID || id%2 == 0 {
		out.Mode = syscall.S_IFDIR | 0o755
	}
}

// make answers a request for a new file or directory.
func (b *bareFS) make(directory bool, parent uint64, name string, out *fuse.EntryOut) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	if directory != (b.last%2 == 0) {
		b.last++
	}
	out.NodeId = b.last
	if !directory {
		b.unsafe[b.last] = &bareFile{parent: parent, name: name}
	}
	b.attr(b.last, &out.Attr)
	out.SetEntryTimeout(time.Hour)
	out.SetAttrTimeout(time.Hour)
}

func (b *bareFS) Lookup(<-chan struct{}, *fuse.InHeader, string, *fuse.EntryOut) fuse.Status {
	return fuse.ENOENT
}

func (b *bareFS) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	b.attr(in.NodeId, &out.Attr)
	out.SetTimeout(time.Hour)
	return fuse.OK
}

func (b *bareFS) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	b.attr(in.NodeId, &out.Attr)
	return fuse.OK
}

func (b *bareFS) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	b.make(true, in.NodeId, name, out)
	return fuse.OK
}

func (b *bareFS) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	b.make(false, in.NodeId, name, &out.EntryOut)
	return fuse.OK
}

func (b *bareFS) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.unsafe[in.NodeId]
	if f == nil {
		return 0, fuse.EROFS // it was closed
	}
	f.data = append(f.data, data...)
	return uint32(len(data)), fuse.OK
}

func (b *bareFS) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	f, err := b.keep(in.NodeId)
	if err != nil || f == nil {
		return fuse.ToStatus(err)
	}
	if b.store != nil {
		f.sum = sha256.Sum256(f.data)
		b.store.come <- *f
	}
	return fuse.OK
}

// keep writes a file to the log, unless that was done before.
func (b *bareFS) keep(id uint64) (*bareFile, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.unsafe[id]
	if f == nil {
		return nil, nil
	}
	delete(b.unsafe, id)
	if b.at+int64(len(f.data)) > logSize {
		b.at = 0
	}
	n, err := b.log.WriteAt(f.data, b.at)
	b.at += int64(n)
	if err != nil || !b.durable {
		return f, err
	}
	return f, unix.Fdatasync(int(b.log.Fd()))
}
