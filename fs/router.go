package fs

import (
	"github.com/hanwen/go-fuse/v2/fuse"
)

// router is the one file system of an ordinary user's mount: what bears a staged inode number goes to the staging tree,
// everything else to the read-only one. (fusermount3 refuses an ordinary user a mount inside a mount, and without
// passthrough nothing is gained by a superblock that is read-only.)
type router struct {
	*tree
	staging fuse.RawFileSystem // speaks of its nodes as inoStaging and kindStaging numbers
}

func (r *router) of(node uint64) fuse.RawFileSystem {
	if node == inoStaging || kindOf(node) == kindStaging {
		return r.staging
	}
	return r.tree
}

func (r *router) Init(s *fuse.Server) {
	r.tree.Init(s)
	r.staging.Init(s)
}

func (r *router) OnUnmount() { r.staging.OnUnmount() }

func (r *router) Lookup(c <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return r.of(h.NodeId).Lookup(c, h, name, out)
}

func (r *router) Forget(node, n uint64) { r.of(node).Forget(node, n) }

func (r *router) GetAttr(c <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return r.of(in.NodeId).GetAttr(c, in, out)
}

func (r *router) SetAttr(c <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return r.of(in.NodeId).SetAttr(c, in, out)
}

func (r *router) Mknod(c <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	return r.of(in.NodeId).Mknod(c, in, name, out)
}

func (r *router) Mkdir(c <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return r.of(in.NodeId).Mkdir(c, in, name, out)
}

func (r *router) Unlink(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return r.of(h.NodeId).Unlink(c, h, name)
}

func (r *router) Rmdir(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return r.of(h.NodeId).Rmdir(c, h, name)
}

// Rename between staging and the rest is a copy for the program to make, as between any two file systems.
func (r *router) Rename(c <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	from, to := r.of(in.NodeId), r.of(in.Newdir)
	if from != to {
		return fuse.EXDEV
	}
	return from.Rename(c, in, oldName, newName)
}

func (r *router) Link(c <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if r.of(in.NodeId) != r.of(in.Oldnodeid) {
		return fuse.EXDEV
	}
	return r.of(in.NodeId).Link(c, in, name, out)
}

func (r *router) Symlink(c <-chan struct{}, h *fuse.InHeader, to, name string, out *fuse.EntryOut) fuse.Status {
	return r.of(h.NodeId).Symlink(c, h, to, name, out)
}

func (r *router) Readlink(c <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	return r.of(h.NodeId).Readlink(c, h)
}

// Access checks staged modes where the kernel was not asked to (see fuseOptions): only the owner gets here then.
func (r *router) Access(c <-chan struct{}, in *fuse.AccessIn) fuse.Status {
	if r.of(in.NodeId) != r.staging {
		return r.tree.Access(c, in)
	}
	var out fuse.AttrOut
	if s := r.staging.GetAttr(c, &fuse.GetAttrIn{InHeader: in.InHeader}, &out); !s.Ok() {
		return s
	}
	granted := out.Mode
	switch {
	case in.Uid == 0:
		return fuse.OK
	case in.Uid == out.Uid:
		granted >>= 6
	case in.Gid == out.Gid:
		granted >>= 3
	}
	if in.Mask&7&^granted != 0 {
		return fuse.EACCES
	}
	return fuse.OK
}

func (r *router) StatFs(c <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return r.of(h.NodeId).StatFs(c, h, out)
}
