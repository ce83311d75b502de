package staging

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// writePiece is in bytes.
const writePiece = 128 << 10

// Read reads a staged file, or what was published of a ghost.
func (t *Tree) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	h := t.handles.file(in.Fh)
	if h == nil {
		return nil, fuse.EBADF
	}
	n, err := t.read(t.ctx, h, buf, int64(in.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, t.status("read", h.node, err)
	}
	return fuse.ReadResultVector([][]byte{buf[:n]}), fuse.OK // go-fuse makes a pipe in vain for ReadResultData
}

func (t *Tree) read(ctx context.Context, h *handle, buf []byte, off int64) (int, error) {
	f := h.node.file
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.backing != nil {
		return f.backing.ReadAt(buf, off)
	}
	if f.ghost == nil {
		return 0, syscall.ESTALE
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.published == nil {
		content, err := t.publisher.Open(ctx, f.ghost.published)
		if err != nil {
			return 0, err
		}
		h.published = content
	}
	return h.published.ReadAt(buf, off)
}

// Write is asked for only where Writev does not answer, which it does.
func (t *Tree) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	return t.Writev(cancel, in, [][]byte{data})
}

// Writev writes to a staged file, and judges what looks like the end of a parquet file there and then: some programs
// ignore the error of close, none that of a write.
func (t *Tree) Writev(_ <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	h := t.handles.file(in.Fh)
	if h == nil || !h.write {
		return 0, fuse.EBADF
	}
	f := h.node.file
	f.content.Lock()
	defer f.content.Unlock()
	if err := t.revive(t.ctx, h.node, h, wholeContent); err != nil {
		return 0, t.status("write", h.node, err)
	}
	written := int64(0)
	for p := range pieces(data) {
		n, err := f.backing.WriteAt(p, int64(in.Offset)+written)
		f.sum.write(int64(in.Offset)+written, p[:n])
		written += int64(n)
		if err != nil {
			h.changed(in.Pid)
			return 0, t.status("write", h.node, err)
		}
	}
	h.changed(in.Pid)
	end := int64(in.Offset) + written
	if err := t.checkEnd(t.ctx, h, data[len(data)-1], end); err != nil {
		f.refused = end
		return 0, t.refuse(h.node, err)
	}
	return uint32(written), fuse.OK
}

// pieces are what is written to the disk's file system at once: from more it makes folios that take it longer to get than
// to fill.
func pieces(data [][]byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, p := range data {
			for piece := range slices.Chunk(p, writePiece) {
				if !yield(piece) {
					return
				}
			}
		}
	}
}

// changed notes that the content has changed through the handle. content is held.
func (h *handle) changed(thread uint32) {
	h.dirty, h.settled = true, false
	if thread == 0 || caller(thread) == h.opener || slices.Contains(h.writers, caller(thread)) {
		return
	}
	if c := callerOf(thread); c != h.opener && !slices.Contains(h.writers, c) {
		h.writers = append(h.writers, c)
	}
}

// wrote tells whether a process opened the handle or wrote through it.
func (h *handle) wrote(c caller) bool { return h.opener.is(c) || slices.Contains(h.writers, c) }

var (
	parquetEnd   = []byte("PAR1")
	parquetExtra = int64(len(parquetEnd) + 8) // bytes of a parquet file beside its footer and data
)

// checkEnd checks a parquet file whose last bytes these seem to be, if they came in order: the magic after a length
// that the file has room for.
func (t *Tree) checkEnd(ctx context.Context, h *handle, last []byte, size int64) error {
	f := h.node.file
	if !bytes.HasSuffix(last, parquetEnd) || size < parquetExtra || !f.sum.inOrder(size) && size != f.refused {
		return nil
	}
	var length [4]byte
	if _, err := f.backing.ReadAt(length[:], size-8); err != nil {
		return err
	}
	if int64(binary.LittleEndian.Uint32(length[:])) > size-parquetExtra {
		return nil
	}
	at, err := t.place(h.node)
	if errors.Is(err, syscall.ESTALE) {
		return nil // an orphan has no place
	}
	if err != nil || at.depth <= depthTable || !strings.HasSuffix(at.below[len(at.below)-1], ".parquet") {
		return err
	}
	table, err := t.publisher.Table(ctx, at.table)
	if err != nil {
		return err
	}
	switch at.role(table.Kind, h.node.file.made) {
	case single, batched:
		return t.checkParquet(ctx, table, at, f.backing, size)
	}
	return nil
}

// Fsync makes staged bytes durable where they are.
func (t *Tree) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	h := t.handles.file(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	f := h.node.file
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.ghost != nil || f.backing == nil {
		return fuse.OK
	}
	return t.status("fsync", h.node, f.backing.Sync())
}

// truncate sets the length of a file; h is nil where no handle is given. content is held.
func (t *Tree) truncate(ctx context.Context, n *node, h *handle, thread uint32, size int64) error {
	f := n.file
	if err := t.revive(ctx, n, h, size); err != nil {
		return err
	}
	if f.ghostOf() != nil {
		return nil // it has that size
	}
	if h != nil && h.write && f.backing != nil {
		if err := f.backing.Truncate(size); err != nil {
			return err
		}
	} else if err := t.truncatePath(n, size); err != nil {
		return err
	}
	f.sum.truncate(size)
	f.refused = 0
	if size == 0 && h != nil && h.write {
		f.sum = newRunning(f.backing)
		h.killed = false
	}
	if h != nil {
		h.changed(thread)
	}
	return nil
}

func (t *Tree) truncatePath(n *node, size int64) error {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return err
	}
	return syscall.Truncate(path, size)
}
