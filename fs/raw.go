package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"math"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	forever       = math.MaxInt32 // seconds
	missRemember  = 1             // seconds that a name which may yet come is remembered as missing
	statfsBlock   = 4096          // bytes
	unlimitedSize = 1 << 50       // bytes, of a store that tells no size
)

func (t *tree) String() string { return "annexfs" }

// patience is how long an interrupted request goes on. Most interrupts are signals that the caller handles and that
// ought not to fail a stat; who is being killed waits no longer than this.
const patience = 5 * time.Second

// settled is patiently for what depends on which files there are: those that this mount has acknowledged are waited for.
func settled[T any](t *tree, cancel <-chan struct{}, h *fuse.InHeader, fn func(context.Context) (T, error)) (T, error) {
	return patiently(cancel, h, func(ctx context.Context) (T, error) {
		if t.Publisher != nil {
			if err := t.Publisher.Settle(ctx); err != nil {
				var none T
				return none, err
			}
		}
		return fn(ctx)
	})
}

// patiently calls fn, and once more with a deadline where the kernel passed on a signal meanwhile.
func patiently[T any](cancel <-chan struct{}, h *fuse.InHeader, fn func(context.Context) (T, error)) (T, error) {
	v, err := fn(&fuse.Context{Caller: h.Caller, Cancel: cancel})
	if !errors.Is(err, context.Canceled) {
		return v, err
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	return fn(ctx)
}

// Lookup finds a name. What does not exist is answered as an entry without a number, so that the kernel remembers it.
func (t *tree) Lookup(cancel <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	t.stats.count(opLookup)
	d, ok := t.nodes.get(h.NodeId).(directory)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	e, err := settled(t, cancel, h, func(ctx context.Context) (entry, error) { return d.lookup(ctx, name) })
	if errors.Is(err, iofs.ErrNotExist) {
		out.EntryValid = missRemember
		if errors.Is(err, errNeverExists) {
			out.EntryValid = forever
		}
		return fuse.OK
	}
	if err != nil {
		return t.status("lookup "+name, h.NodeId, err)
	}
	t.fillEntry(e, out)
	return fuse.OK
}

// fillEntry tells the kernel of e, and remembers that it was told.
func (t *tree) fillEntry(e entry, out *fuse.EntryOut) {
	if e.node != nil {
		t.nodes.remember(e.node)
	}
	out.NodeId = e.attr.ino
	out.EntryValid = forever
	out.AttrValid = attrValid(e.node)
	t.fillAttr(e.attr, &out.Attr)
}

func attrValid(n node) uint64 {
	if g, ok := n.(generated); ok && g.volatile() {
		return 0
	}
	return forever
}

func (t *tree) fillAttr(a attr, out *fuse.Attr) {
	out.Ino, out.Mode, out.Size = a.ino, a.mode, uint64(a.size)
	out.Nlink = 1
	out.Blocks = (out.Size + 511) / 512
	out.Blksize = statfsBlock
	out.Owner = fuse.Owner{Uid: t.opts.UID, Gid: t.opts.GID}
	mtime := time.Unix(0, a.mtime)
	out.SetTimes(&mtime, &mtime, &mtime)
}

func (t *tree) Forget(nodeid, nlookup uint64) {
	t.stats.count(opForget)
	if t.nodes.forget(nodeid, nlookup) {
		t.trim.gaveUp(nodeBytes)
	}
}

func (t *tree) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	t.stats.count(opGetAttr)
	n := t.nodes.get(in.NodeId)
	if n == nil && kindOf(in.NodeId) != kindFile {
		return fuse.Status(syscall.ESTALE)
	}
	a, err := settled(t, cancel, &in.InHeader, func(ctx context.Context) (attr, error) {
		if n != nil {
			return n.attr(ctx)
		}
		f, err := t.file(ctx, in.NodeId)
		return fileAttr(f.Entry), err
	})
	if err != nil {
		return t.status("getattr", in.NodeId, err)
	}
	out.AttrValid = attrValid(n)
	t.fillAttr(a, &out.Attr)
	return fuse.OK
}

func (t *tree) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	t.stats.count(opReadlink)
	if l, ok := t.nodes.get(h.NodeId).(symlink); ok {
		return []byte(l.target()), fuse.OK
	}
	return nil, fuse.EINVAL
}

// Access answers access(2) and chdir(2) where the kernel does not check permissions itself. The modes here are 0555 for
// directories, 0777 for symlinks and 0444 for files, so it is the same for all users, root included.
func (t *tree) Access(_ <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	t.stats.count(opAccess)
	n := t.nodes.get(in.NodeId)
	if n == nil && kindOf(in.NodeId) != kindFile {
		return fuse.Status(syscall.ESTALE)
	}
	if in.Mask&fuse.W_OK != 0 {
		return fuse.EROFS
	}
	switch n.(type) {
	case directory, symlink:
		return fuse.OK
	}
	if in.Mask&fuse.X_OK != 0 {
		return fuse.EACCES
	}
	return fuse.OK
}

// StatFs tells what the backing object store tells of itself.
func (t *tree) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	t.stats.count(opStatFs)
	total, free, ok := t.Objects.StatFS()
	if !ok {
		total, free = unlimitedSize, unlimitedSize
	}
	*out = fuse.StatfsOut{Bsize: statfsBlock, Frsize: statfsBlock, NameLen: 255,
		Blocks: total / statfsBlock, Bfree: free / statfsBlock, Bavail: free / statfsBlock}
	return fuse.OK
}

// GetXAttr answers user.annexfs.*. Other classes are "not supported" rather than "no data": ls asks for security
// labels and ACLs of every file until it hears once that the file system has none.
func (t *tree) GetXAttr(cancel <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	t.stats.count(opGetXAttr)
	if !strings.HasPrefix(name, "user.") {
		return 0, fuse.Status(syscall.EOPNOTSUPP)
	}
	attrs, err := settled(t, cancel, h, func(ctx context.Context) (xattrList, error) { return t.xattrs(ctx, h.NodeId) })
	if err != nil {
		return 0, t.status("getxattr", h.NodeId, err)
	}
	value, ok := attrs.get(name)
	if !ok {
		return 0, fuse.ENOATTR
	}
	return copyXattr(dest, value)
}

func (t *tree) ListXAttr(cancel <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	t.stats.count(opListXAttr)
	attrs, err := settled(t, cancel, h, func(ctx context.Context) (xattrList, error) { return t.xattrs(ctx, h.NodeId) })
	if err != nil {
		return 0, t.status("listxattr", h.NodeId, err)
	}
	return copyXattr(dest, attrs.names())
}

func copyXattr(dest []byte, value string) (uint32, fuse.Status) {
	if len(dest) < len(value) {
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}
