package staging

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// remember is how many seconds the kernel may remember names and attributes, which change only through it.
const remember = 1

// fillAttr answers what stat shows. Files never have the set-id bits, which would have to be cleared by every write.
func (t *Tree) fillAttr(n *node, st *syscall.Stat_t, out *fuse.Attr) {
	out.FromStat(st)
	out.Ino = n.ino
	if n.file != nil {
		out.Mode &= syscall.S_IFMT | 0o777
		out.Nlink = min(out.Nlink, 1) // a crash may leave a second name in a store
		out.Blksize = maxRequest      // cp and others write so much at once
	}
}

func (t *Tree) fillEntry(n *node, st *syscall.Stat_t, out *fuse.EntryOut) {
	out.NodeId = n.id
	out.EntryValid, out.AttrValid = valid(n), valid(n)
	t.fillAttr(n, st, &out.Attr)
}

func fillGhost(n *node, g *ghost, out *fuse.EntryOut) {
	out.NodeId = n.id
	out.EntryValid, out.AttrValid = remember, remember
	out.Attr = g.attr
}

// valid is nothing for what this process may write itself.
func valid(n *node) uint64 {
	if n.own {
		return 0
	}
	return remember
}

// GetAttr tells the attributes of the backing file, or of a ghost as they were last set.
func (t *Tree) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := t.nodes.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	return t.status("getattr", n, t.attr(n, out))
}

func (t *Tree) attr(n *node, out *fuse.AttrOut) error {
	out.AttrValid = valid(n)
	if n.file != nil {
		if g := n.file.ghostOf(); g != nil {
			out.Attr = g.attr
			return nil
		}
	}
	var st syscall.Stat_t
	if err := t.stat(n, &st); err != nil {
		return err
	}
	t.fillAttr(n, &st, &out.Attr)
	return nil
}

// stat is by the open file where there is one, which may have lost its name.
func (t *Tree) stat(n *node, st *syscall.Stat_t) error {
	if done, err := n.withBacking(func(fd int) error { return syscall.Fstat(fd, st) }); done {
		return err
	}
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return err
	}
	return syscall.Lstat(path, st)
}

// withBacking calls fn with the descriptor of an open staged file, and reports whether there was one.
func (n *node) withBacking(fn func(fd int) error) (done bool, err error) {
	if n.file == nil {
		return false, nil
	}
	n.file.mu.RLock()
	defer n.file.mu.RUnlock()
	if n.file.backing == nil || n.file.ghost != nil {
		return false, nil
	}
	return true, fn(int(n.file.backing.Fd()))
}

// SetAttr sets size, mode, owner and times. Opening with O_TRUNC comes here as a size of 0: of _SUCCESS it commits.
func (t *Tree) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := t.nodes.get(in.NodeId)
	if n == nil {
		return fuse.Status(syscall.ESTALE)
	}
	if n.file == nil {
		if err := t.setBacking(n, in); err != nil {
			return t.status("setattr", n, err)
		}
		return t.status("setattr", n, t.attr(n, out))
	}
	n.file.content.Lock()
	defer n.file.content.Unlock()
	if size, ok := in.GetSize(); ok {
		var h *handle
		if fh, ok := in.GetFh(); ok {
			h = t.handles.file(fh)
		}
		ctx, stop := t.interruptible(cancel, in.Pid)
		defer stop()
		if at, err := t.place(n); err == nil && at.isMarker() && size == 0 {
			if err := t.commitAgain(ctx, n); err != nil {
				return t.refuse(n, err)
			}
		} else if err := t.truncate(ctx, n, h, in.Pid, int64(size)); err != nil {
			return t.status("truncate", n, err)
		}
	}
	if !n.file.setGhost(in) {
		if err := t.setBacking(n, in); err != nil {
			return t.status("setattr", n, err)
		}
	}
	return t.status("setattr", n, t.attr(n, out))
}

// setGhost sets what a ghost shows, and nothing of what was published. It is false of a staged file.
func (f *file) setGhost(in *fuse.SetAttrIn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ghost == nil {
		return false
	}
	g := *f.ghost
	if mode, ok := in.GetMode(); ok {
		g.attr.Mode = syscall.S_IFREG | mode&0o777
	}
	if uid, ok := in.GetUID(); ok {
		g.attr.Uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		g.attr.Gid = gid
	}
	atime, hasAtime := in.GetATime()
	mtime, hasMtime := in.GetMTime()
	now := time.Now()
	g.attr.SetTimes(pointer(atime, hasAtime), pointer(mtime, hasMtime), &now)
	f.ghost = &g
	return true
}

func pointer(v time.Time, ok bool) *time.Time {
	if !ok {
		return nil
	}
	return &v
}

// setBacking sets mode, owner and times of the backing file or directory.
func (t *Tree) setBacking(n *node, in *fuse.SetAttrIn) error {
	if done, err := n.withBacking(func(fd int) error { return setPath(fmt.Sprintf("/proc/self/fd/%d", fd), in, 0o777) }); done {
		return err
	}
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return err
	}
	allowed := uint32(0o777)
	if n.dir != nil {
		allowed = 0o7777
	}
	return setPath(path, in, allowed)
}

func setPath(path string, in *fuse.SetAttrIn, allowed uint32) error {
	uid, hasUID := in.GetUID()
	gid, hasGID := in.GetGID()
	if hasUID || hasGID {
		if err := os.Chown(path, owner(uid, hasUID), owner(gid, hasGID)); err != nil {
			return err
		}
	}
	if mode, ok := in.GetMode(); ok {
		if err := syscall.Chmod(path, mode&allowed); err != nil {
			return err
		}
	}
	atime, hasAtime := in.GetATime()
	mtime, hasMtime := in.GetMTime()
	if !hasAtime && !hasMtime {
		return nil
	}
	times := []unix.Timespec{timespec(atime, hasAtime), timespec(mtime, hasMtime)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0)
}

func owner(id uint32, ok bool) int {
	if !ok {
		return -1
	}
	return int(id)
}

func timespec(at time.Time, ok bool) unix.Timespec {
	if !ok {
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
}

// StatFs tells of the file system that staged files lie on.
func (t *Tree) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	var st syscall.Statfs_t
	if err := syscall.Statfs(t.dir, &st); err != nil {
		return t.status("statfs", t.nodes.root, err)
	}
	*out = fuse.StatfsOut{
		Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), NameLen: uint32(st.Namelen), Frsize: uint32(st.Frsize),
	}
	return fuse.OK
}
