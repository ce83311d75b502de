package fs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// textHandle is an open generated file: the bytes as they were at open.
type textHandle struct{ data []byte }

// Open prepares a file for reading. No FLUSH is wanted at close: nothing is ever dirty.
func (t *tree) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	t.stats.count(opOpen)
	if in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY || in.Flags&syscall.O_TRUNC != 0 {
		return fuse.EROFS
	}
	out.OpenFlags = fuse.FOPEN_NOFLUSH
	if g, ok := t.nodes.get(in.NodeId).(generated); ok {
		data, err := settled(t, cancel, &in.InHeader, g.content)
		if err != nil {
			return t.status("open", in.NodeId, err)
		}
		out.Fh = t.handles.add(&textHandle{data})
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
		if g.volatile() {
			out.OpenFlags = fuse.FOPEN_NOFLUSH | fuse.FOPEN_DIRECT_IO
		}
		return fuse.OK
	}
	b, err := patiently(cancel, &in.InHeader, func(ctx context.Context) (*backing, error) { return t.inodes.acquire(ctx, in.NodeId) })
	if err != nil {
		return t.status("open", in.NodeId, err)
	}
	if b.passthrough {
		out.OpenFlags |= fuse.FOPEN_PASSTHROUGH
		out.BackingID = b.id
	} else {
		out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
	}
	return fuse.OK
}

func (t *tree) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	t.stats.count(opRelease)
	if in.Fh != 0 {
		t.handles.remove(in.Fh)
		return
	}
	t.inodes.release(in.NodeId)
}

// Read serves what the kernel cannot read itself: generated files, objects in a bucket, and local files where the
// kernel gives no passthrough.
func (t *tree) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	t.stats.count(opRead)
	if in.Fh != 0 {
		h, ok := t.handles.get(in.Fh).(*textHandle)
		if !ok {
			return nil, fuse.EBADF
		}
		data := h.data[min(in.Offset, uint64(len(h.data))):]
		data = data[:min(len(buf), len(data))]
		t.stats.bytesRead.Add(int64(len(data)))
		return fuse.ReadResultVector([][]byte{data}), fuse.OK // go-fuse makes a pipe in vain for ReadResultData
	}
	b := t.inodes.get(in.NodeId)
	if b == nil {
		return nil, fuse.EBADF
	}
	r, err := patiently(cancel, &in.InHeader, func(ctx context.Context) (fuse.ReadResult, error) {
		return b.read(ctx, buf, int64(in.Offset))
	})
	if err != nil {
		return nil, t.status("read", in.NodeId, err)
	}
	t.stats.bytesRead.Add(int64(r.Size()))
	return r, fuse.OK
}

// Lseek knows no holes: the kernel's generic answer is right for every file here.
func (t *tree) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	t.stats.count(opLseek)
	size, err := t.size(in.NodeId)
	if err != nil {
		return t.status("lseek", in.NodeId, err)
	}
	const seekData, seekHole = 3, 4
	switch {
	case in.Offset >= size:
		return fuse.Status(syscall.ENXIO)
	case in.Whence == seekData:
		out.Offset = in.Offset
	case in.Whence == seekHole:
		out.Offset = size
	default:
		return fuse.EINVAL
	}
	return fuse.OK
}
