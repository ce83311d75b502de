package main

import (
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
// no rows, nothing to read again, no permissions.
type bareFS struct {
	fuse.RawFileSystem
	log     *os.File
	durable bool
	at      int64 // where log goes on; guarded by mu

	mu     sync.Mutex
	last   uint64            // even numbers are directories, odd ones files
	unsafe map[uint64][]byte // written, and not yet in the log
}

const logSize = 64 << 20 // bytes, after which it is written again from the beginning

// serveBare mounts a bareFS until somebody unmounts it.
func serveBare(mountpoint, log string, durable bool) error {
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
	bare := &bareFS{RawFileSystem: fuse.NewDefaultRawFileSystem(), log: f, durable: durable, last: fuse.FUSE_ROOT_ID, unsafe: map[uint64][]byte{}}
	server, err := fuse.NewServer(bare, mountpoint, &fuse.MountOptions{Name: "bare", FsName: "bare", DisableXAttrs: true})
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
func (b *bareFS) make(directory bool, out *fuse.EntryOut) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	if directory != (b.last%2 == 0) {
		b.last++
	}
	out.NodeId = b.last
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

func (b *bareFS) Mkdir(_ <-chan struct{}, _ *fuse.MkdirIn, _ string, out *fuse.EntryOut) fuse.Status {
	b.make(true, out)
	return fuse.OK
}

func (b *bareFS) Create(_ <-chan struct{}, _ *fuse.CreateIn, _ string, out *fuse.CreateOut) fuse.Status {
	b.make(false, &out.EntryOut)
	return fuse.OK
}

func (b *bareFS) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unsafe[in.NodeId] = append(b.unsafe[in.NodeId], data...)
	return uint32(len(data)), fuse.OK
}

func (b *bareFS) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	data := b.unsafe[in.NodeId]
	delete(b.unsafe, in.NodeId)
	if b.at+int64(len(data)) > logSize {
		b.at = 0
	}
	n, err := b.log.WriteAt(data, b.at)
	b.at += int64(n)
	if err != nil {
		return fuse.ToStatus(err)
	}
	if !b.durable {
		return fuse.OK
	}
	return fuse.ToStatus(unix.Fdatasync(int(b.log.Fd())))
}
