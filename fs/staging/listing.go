package staging

import (
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// listing is an open directory: what was in it when it was last read from the beginning.
type listing struct {
	node *node

	mu      sync.Mutex
	entries []fuse.DirEntry // guarded by mu
}

// OpenDir opens a directory; it is read at the first request.
func (t *Tree) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	out.Fh = t.handles.add(&listing{node: n})
	return fuse.OK
}

// ReleaseDir closes a directory.
func (t *Tree) ReleaseDir(in *fuse.ReleaseIn) { t.handles.remove(in.Fh) }

// FsyncDir makes the names in a directory durable.
func (t *Tree) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return fuse.OK // removed with all its names
	}
	d, err := os.Open(path)
	if err != nil {
		return t.status("fsyncdir", n, err)
	}
	return t.status("fsyncdir", n, errors.Join(d.Sync(), d.Close()))
}

// ReadDir lists names. Ghosts are not listed.
func (t *Tree) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return t.readDir(in, func(_ *node, e fuse.DirEntry) bool { return out.AddDirEntry(e) })
}

// ReadDirPlus lists names with what a Lookup of each would answer.
func (t *Tree) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return t.readDir(in, func(n *node, e fuse.DirEntry) bool {
		slot := out.AddDirLookupEntry(e)
		if slot == nil {
			return false
		}
		if e.Name != "." && e.Name != ".." && t.lookup(t.ctx, n, e.Name, slot) != nil {
			*slot = fuse.EntryOut{} // gone meanwhile: the kernel takes the name alone
		}
		return true
	})
}

func (t *Tree) readDir(in *fuse.ReadIn, add func(*node, fuse.DirEntry) bool) fuse.Status {
	l := t.handles.directory(in.Fh)
	if l == nil {
		return fuse.EBADF
	}
	entries, err := t.entries(t.ctx, l, in.Offset == 0)
	if err != nil {
		return t.status("readdir", l.node, err)
	}
	for i := in.Offset; i < uint64(len(entries)); i++ {
		e := entries[i]
		e.Off = i + 1
		if !add(l.node, e) {
			break
		}
	}
	return fuse.OK
}

// entries reads the directory when it is read from the beginning.
func (t *Tree) entries(ctx context.Context, l *listing, rewind bool) ([]fuse.DirEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !rewind && l.entries != nil {
		return l.entries, nil
	}
	staged, err := t.readBacking(l.node)
	if err != nil {
		return nil, err
	}
	entries := []fuse.DirEntry{{Name: ".", Ino: l.node.ino, Mode: syscall.S_IFDIR}, {Name: "..", Mode: syscall.S_IFDIR}}
	for _, e := range staged {
		mode := uint32(syscall.S_IFREG)
		if e.IsDir() {
			mode = syscall.S_IFDIR
		}
		entries = append(entries, fuse.DirEntry{Name: e.Name(), Mode: mode})
	}
	offered, err := t.offered(ctx, l.node)
	if err != nil {
		return nil, err
	}
	for _, name := range offered {
		if !slices.ContainsFunc(staged, func(e iofs.DirEntry) bool { return e.Name() == name }) {
			entries = append(entries, fuse.DirEntry{Name: name, Mode: syscall.S_IFDIR})
		}
	}
	l.entries = entries
	return entries, nil
}

func (t *Tree) readBacking(n *node) ([]iofs.DirEntry, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return nil, nil // removed while it is open
	}
	return os.ReadDir(path)
}

// offered are the names of what can be written to below a directory.
func (t *Tree) offered(ctx context.Context, n *node) ([]string, error) {
	names, ok := t.nodes.names(n)
	if !ok || len(names) >= depthTable {
		return nil, nil
	}
	all, err := t.publisher.List(ctx, at(names, len(names), 0), at(names, len(names), 1))
	return all, notMissing(err)
}
