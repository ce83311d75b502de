package staging

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// handle is an open file.
type handle struct {
	node   *node
	write  bool
	opener caller

	// guarded by the file's content
	dirty   bool          // there are bytes, or the lack of them, that no verdict covers
	settled bool          // the opener has flushed since the last change
	killed  bool          // a writer was killed by a signal
	answer  syscall.Errno // the last verdict
	writers []caller      // other processes that wrote through the handle

	mu        sync.Mutex
	published Content // of a ghost that is read; guarded by mu
}

// handles are what is open, by the number that the kernel sends back.
type handles struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]any
}

func (s *handles) add(h any) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[uint64]any{}
	}
	s.last++
	s.open[s.last] = h
	return s.last
}

func (s *handles) file(fh uint64) *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, _ := s.open[fh].(*handle)
	return h
}

func (s *handles) directory(fh uint64) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, _ := s.open[fh].(*listing)
	return l
}

func (s *handles) remove(fh uint64) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.open[fh]
	delete(s.open, fh)
	return h
}

// removeAll returns the open files.
func (s *handles) removeAll() []*handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*handle
	for _, h := range s.open {
		if h, ok := h.(*handle); ok {
			files = append(files, h)
		}
	}
	clear(s.open)
	return files
}

// Create makes a file and opens it. Creating _SUCCESS in a batch commits the batch, and its failure is the commit's.
func (t *Tree) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	parent, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	at, err := t.place(parent, name)
	if err != nil {
		return t.status("create "+name, parent, err)
	}
	if err := t.mayCreate(parent, at); err != nil {
		return t.refuseName(parent, name, err)
	}
	f, st, err := t.createFile(parent, name, in)
	if err != nil {
		return t.status("create "+name, parent, err)
	}
	if at.isMarker() {
		ctx, stop := t.interruptible(cancel, in.Pid)
		defer stop()
		if err := t.commit(ctx, parent, at); err != nil {
			t.removeFile(parent, name)
			_ = f.Close()
			return t.refuseName(parent, name, err)
		}
	}
	h := &handle{write: true, opener: callerOf(in.Pid), dirty: !at.isMarker()}
	h.node = t.nodes.add(parent, name, st, 1)
	file := h.node.file
	file.content.Lock()
	defer file.content.Unlock()
	file.made = creationOf(in.Flags, in.Mode)
	file.sum = newRunning(f)
	file.writers = append(file.writers, h)
	file.mu.Lock()
	file.backing, file.write = f, true
	file.opens++
	file.mu.Unlock()

	t.fillEntry(h.node, st, &out.EntryOut)
	out.Fh, out.OpenFlags = t.handles.add(h), t.openFlags(in.Flags)&^fuse.FOPEN_NOFLUSH // also an empty file is judged
	return fuse.OK
}

// openFlags of a file. What can only be written to is kept out of the kernel's cache, which saves a copy, where the kernel
// then drops what it has cached for readers: since Linux 6.6.
func (t *Tree) openFlags(flags uint32) uint32 {
	switch flags & syscall.O_ACCMODE {
	case syscall.O_WRONLY:
		if t.server != nil && t.server.KernelSettings().Flags64()&fuse.CAP_DIRECT_IO_ALLOW_MMAP != 0 {
			return fuse.FOPEN_DIRECT_IO
		}
	case syscall.O_RDONLY:
		return fuse.FOPEN_NOFLUSH
	}
	return 0
}

// mayCreate says whether a file may be made at a place: beside the tables, and wherever a batch still takes data.
func (t *Tree) mayCreate(parent *node, at place) error {
	if at.depth < depthTable {
		return &refusal{errno: syscall.EPERM, why: "files are staged below <namespace>/<name>/<table>/"}
	}
	if at.depth == depthTable {
		return nil
	}
	return t.batchTakes(parent, at)
}

func (t *Tree) createFile(parent *node, name string, in *fuse.CreateIn) (*os.File, *syscall.Stat_t, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(parent, name)
	if err != nil {
		return nil, nil, err
	}
	flags := os.O_RDWR | os.O_CREATE | int(in.Flags&syscall.O_EXCL)
	f, err := openFile(path, flags, in.Mode&0o777)
	if err != nil {
		return nil, nil, err
	}
	st := &syscall.Stat_t{}
	if err = setOwnerAndMode(f, in.Mode, fuse.Owner{Uid: in.Uid, Gid: in.Gid}); err == nil {
		err = syscall.Fstat(int(f.Fd()), st)
	}
	if err != nil {
		_ = os.Remove(path)
		_ = f.Close()
		return nil, nil, err
	}
	t.nodes.drop(parent, name) // a ghost of that name
	return f, st, nil
}

// openFile is os.OpenFile without its attempt, of four system calls, to wait for a regular file by epoll. It follows no
// symbolic link at the path's end.
func openFile(path string, flags int, mode uint32) (*os.File, error) {
	for {
		fd, err := syscall.Open(path, flags|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, mode)
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (t *Tree) removeFile(parent *node, name string) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	if path, err := t.path(parent, name); err == nil {
		_ = os.Remove(path) // the caller has the error that matters
	}
}

// Open opens a file. A ghost that is opened for writing stays one until something is written.
func (t *Tree) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n := t.nodes.get(in.NodeId)
	if n == nil || n.file == nil {
		return fuse.Status(syscall.ESTALE)
	}
	h := &handle{node: n, write: in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY}
	if h.write {
		h.opener = callerOf(in.Pid)
		n.file.content.Lock()
		defer n.file.content.Unlock()
		if err := t.mayTakeData(n); err != nil {
			return t.status("open", n, err)
		}
	}
	if err := t.openBacking(n, h.write); err != nil {
		return t.status("open", n, err)
	}
	if h.write {
		n.file.writers = append(n.file.writers, h)
	}
	out.Fh, out.OpenFlags = t.handles.add(h), t.openFlags(in.Flags)
	return fuse.OK
}

// openBacking counts one more open of a file, whose backing file is opened unless it is or it is a ghost's.
func (t *Tree) openBacking(n *node, write bool) error {
	t.shape.RLock()
	defer t.shape.RUnlock()
	f := n.file
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ghost == nil && (f.backing == nil || write && !f.write) {
		path, err := t.path(n)
		if err != nil {
			return err
		}
		flags := os.O_RDONLY
		if write {
			flags = os.O_RDWR
		}
		backing, err := openFile(path, flags, 0)
		if err != nil {
			return err
		}
		if f.backing != nil {
			_ = f.backing.Close() // was only read
		}
		f.backing, f.write = backing, write
	}
	f.opens++
	return nil
}

// Release ends a handle. What its opener did not flush is judged now; only <file>.error can tell of a refusal.
func (t *Tree) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if h, ok := t.handles.remove(in.Fh).(*handle); ok {
		t.release(h)
	}
}

func (t *Tree) release(h *handle) {
	f := h.node.file
	if h.write {
		f.content.Lock()
		t.settle(t.ctx, h)
		if len(f.writers) == 0 {
			f.sum.stop()
		}
		f.content.Unlock()
	}
	h.mu.Lock()
	if h.published != nil {
		_ = h.published.Close() // was only read
	}
	h.mu.Unlock()

	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens--
	if f.opens == 0 && f.backing != nil {
		_ = f.backing.Close() // what has to be durable was synced when it was published
		f.backing, f.write = nil, false
	}
}

// OnUnmount ends what the kernel will not end any more: it has dropped the connection with files open.
func (t *Tree) OnUnmount() {
	for _, h := range t.handles.removeAll() {
		h.node.file.content.Lock()
		h.killed = h.killed || !h.settled
		h.node.file.content.Unlock()
		t.release(h)
	}
	t.nodes.forgetAll()
}
