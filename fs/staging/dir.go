package staging

import (
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Lookup finds a name: a staged file or directory, a ghost, or a directory of something that one can write to.
func (t *Tree) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	parent, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	return t.status("lookup", parent, t.lookup(t.ctx, parent, name, out))
}

func (t *Tree) lookup(ctx context.Context, parent *node, name string, out *fuse.EntryOut) error {
	if t.lookupGhost(parent, name, out) {
		return nil
	}
	st, err := t.lstat(parent, name)
	if errors.Is(err, iofs.ErrNotExist) {
		if st, err = t.offer(ctx, parent, name); errors.Is(err, iofs.ErrNotExist) {
			t.nodes.drop(parent, name) // removed behind our back
		}
	}
	if err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR && st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return syscall.ENOENT // put there behind our back
	}
	t.fillEntry(t.nodes.add(parent, name, st, 1), st, out)
	return nil
}

func (t *Tree) lookupGhost(parent *node, name string, out *fuse.EntryOut) bool {
	n, g := t.ghost(parent, name)
	if g == nil {
		return false
	}
	t.nodes.mu.Lock()
	n.lookups++
	t.nodes.mu.Unlock()
	fillGhost(n, g, out)
	return true
}

func (t *Tree) lstat(parent *node, names ...string) (*syscall.Stat_t, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(parent, names...)
	if err != nil {
		return nil, err
	}
	st := &syscall.Stat_t{}
	return st, syscall.Lstat(path, st)
}

// offer makes the directory of a namespace, dataset or table that is there to be written to.
func (t *Tree) offer(ctx context.Context, parent *node, name string) (*syscall.Stat_t, error) {
	names, ok := t.nodes.names(parent, name)
	if !ok || len(names) > depthTable || checkDirectory(names) != nil {
		return nil, syscall.ENOENT
	}
	known, err := t.isOffered(ctx, names)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, syscall.ENOENT
	}
	t.shape.RLock()
	path, err := t.path(parent, name)
	if err == nil {
		err = t.makeDirectory(path)
	}
	t.shape.RUnlock()
	if err != nil {
		return nil, err
	}
	return t.lstat(parent, name)
}

// isOffered tells whether there is something to write to behind a path down to a table.
func (t *Tree) isOffered(ctx context.Context, names []string) (bool, error) {
	last := len(names) - 1
	base := names[last]
	if last+1 == depthDataset && strings.Contains(base, "@") { // versions are not listed
		_, err := t.publisher.List(ctx, names[0], base)
		return err == nil, notMissing(err)
	}
	all, err := t.publisher.List(ctx, at(names, last, 0), at(names, last, 1))
	return slices.Contains(all, base), notMissing(err)
}

func at(names []string, n, i int) string {
	if i < n {
		return names[i]
	}
	return ""
}

func notMissing(err error) error {
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	return err
}

// Forget is told how often the kernel no longer knows a node.
func (t *Tree) Forget(nodeID, lookups uint64) { t.nodes.forget(nodeID, lookups) }

// Mkdir makes a directory. The first three levels are those of a namespace, a dataset and a table, and named like them.
func (t *Tree) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	parent, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	names, ok := t.nodes.names(parent, name)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	if err := checkDirectory(names); err != nil {
		return t.status("mkdir "+name, parent, err)
	}
	st, err := t.mkdir(parent, name, in)
	if err != nil {
		return t.status("mkdir "+name, parent, err)
	}
	if isTemporary(name, true, plainly) {
		t.reopen(parent)
	}
	t.fillEntry(t.nodes.add(parent, name, st, 1), st, out)
	return fuse.OK
}

func (t *Tree) mkdir(parent *node, name string, in *fuse.MkdirIn) (*syscall.Stat_t, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(parent, name)
	if err != nil {
		return nil, err
	}
	if err := syscall.Mkdir(path, in.Mode&0o7777); err != nil {
		return nil, err
	}
	t.nodes.drop(parent, name) // a ghost of that name
	st := &syscall.Stat_t{}
	if err := syscall.Lstat(path, st); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 && (st.Uid != in.Uid || st.Gid != in.Gid) {
		if err := os.Chown(path, int(in.Uid), int(in.Gid)); err != nil {
			return nil, err
		}
		st.Uid, st.Gid = in.Uid, in.Gid
	}
	if st.Mode&0o7777 != in.Mode&0o7777 { // the umask of this process must not count
		if err := syscall.Chmod(path, in.Mode&0o7777); err != nil {
			return nil, err
		}
	}
	return st, syscall.Lstat(path, st)
}

// Rmdir removes a directory in which nothing is staged. What is there to be written to cannot be removed.
func (t *Tree) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	parent, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	return t.status("rmdir "+name, parent, t.rmdir(t.ctx, parent, name))
}

func (t *Tree) rmdir(ctx context.Context, parent *node, name string) error {
	names, ok := t.nodes.names(parent, name)
	if !ok {
		return syscall.ESTALE
	}
	if len(names) <= depthTable {
		offered, err := t.isOffered(ctx, names)
		if err != nil {
			return err
		}
		if offered {
			return syscall.EBUSY
		}
	}
	t.shape.Lock()
	defer t.shape.Unlock()
	if n := t.nodes.child(parent, name); n != nil && t.nodes.pinned(n) {
		return syscall.EBUSY // what is being published may have to come back
	}
	path, err := t.path(parent, name)
	if err != nil {
		return err
	}
	if err := syscall.Rmdir(path); err != nil {
		return err
	}
	t.nodes.drop(parent, name)
	return nil
}

// Unlink removes a staged file. Of a ghost only the name goes: what is published stays.
func (t *Tree) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	parent, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	if err := t.unlink(parent, name); err != nil {
		return t.status("unlink "+name, parent, err)
	}
	if data, ok := strings.CutSuffix(name, aria2Control); ok {
		t.finished(parent, data)
	}
	return fuse.OK
}

func (t *Tree) unlink(parent *node, name string) error {
	n := t.nodes.child(parent, name)
	if n != nil && n.file != nil {
		n.file.content.Lock() // waits for a verdict that is being found
		defer n.file.content.Unlock()
		if n.file.ghostOf() != nil {
			t.nodes.drop(parent, name)
			return nil
		}
	}
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(parent, name)
	if err != nil {
		return err
	}
	if err := syscall.Unlink(path); err != nil {
		return err
	}
	t.nodes.drop(parent, name)
	return nil
}

// Refused: staged files have one name each.

// Link is refused: a file that had another name could be changed after it is published.
func (t *Tree) Link(<-chan struct{}, *fuse.LinkIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}

// Symlink is refused: a table holds no links.
func (t *Tree) Symlink(<-chan struct{}, *fuse.InHeader, string, string, *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}

// Mknod is refused: a table holds regular files.
func (t *Tree) Mknod(<-chan struct{}, *fuse.MknodIn, string, *fuse.EntryOut) fuse.Status {
	return fuse.EPERM
}
