package fs

import "github.com/hanwen/go-fuse/v2/fuse"

func (r *router) GetXAttr(c <-chan struct{}, h *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	return r.of(h.NodeId).GetXAttr(c, h, name, dest)
}

func (r *router) ListXAttr(c <-chan struct{}, h *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	return r.of(h.NodeId).ListXAttr(c, h, dest)
}

func (r *router) SetXAttr(c <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	return r.of(in.NodeId).SetXAttr(c, in, name, data)
}

func (r *router) RemoveXAttr(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return r.of(h.NodeId).RemoveXAttr(c, h, name)
}

func (r *router) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return r.of(in.NodeId).Create(c, in, name, out)
}

func (r *router) Tmpfile(c <-chan struct{}, in *fuse.CreateIn, out *fuse.CreateOut) fuse.Status {
	return r.of(in.NodeId).Tmpfile(c, in, out)
}

func (r *router) Open(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return r.of(in.NodeId).Open(c, in, out)
}

func (r *router) Read(c <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	return r.of(in.NodeId).Read(c, in, buf)
}

func (r *router) Lseek(c <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return r.of(in.NodeId).Lseek(c, in, out)
}

func (r *router) Release(c <-chan struct{}, in *fuse.ReleaseIn) { r.of(in.NodeId).Release(c, in) }

func (r *router) Write(c <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	return r.of(in.NodeId).Write(c, in, data)
}

func (r *router) Writev(c <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	return r.of(in.NodeId).Writev(c, in, data)
}

func (r *router) CopyFileRange(c <-chan struct{}, in *fuse.CopyFileRangeIn) (uint32, fuse.Status) {
	if r.of(in.NodeId) != r.of(in.NodeIdOut) {
		return 0, fuse.EXDEV
	}
	return r.of(in.NodeId).CopyFileRange(c, in)
}

func (r *router) Ioctl(c <-chan struct{}, in *fuse.IoctlIn, inbuf []byte, out *fuse.IoctlOut, outbuf []byte) fuse.Status {
	return r.of(in.NodeId).Ioctl(c, in, inbuf, out, outbuf)
}

func (r *router) Flush(c <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return r.of(in.NodeId).Flush(c, in)
}

func (r *router) Fsync(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return r.of(in.NodeId).Fsync(c, in)
}

func (r *router) Fallocate(c <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return r.of(in.NodeId).Fallocate(c, in)
}

func (r *router) OpenDir(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return r.of(in.NodeId).OpenDir(c, in, out)
}

func (r *router) ReadDir(c <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return r.of(in.NodeId).ReadDir(c, in, out)
}

func (r *router) ReadDirPlus(c <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return r.of(in.NodeId).ReadDirPlus(c, in, out)
}

func (r *router) ReleaseDir(in *fuse.ReleaseIn) { r.of(in.NodeId).ReleaseDir(in) }

func (r *router) FsyncDir(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return r.of(in.NodeId).FsyncDir(c, in)
}

func (r *router) Statx(c <-chan struct{}, in *fuse.StatxIn, out *fuse.StatxOut) fuse.Status {
	return r.of(in.NodeId).Statx(c, in, out)
}
