package staging

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
)

// maxManifest bounds the manifests that are read into memory.
const maxManifest = 64 << 20

// Flush answers close, and all else that the kernel takes for a close. What the opener's process flushes is judged, if
// there is anything new, and otherwise gets the last answer again. Who merely inherited the handle is never refused.
func (t *Tree) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	h := t.handles.file(in.Fh)
	if h == nil {
		return fuse.EBADF
	}
	if !h.write {
		return fuse.OK
	}
	ctx, stop := t.interruptible(cancel, in.Pid)
	defer stop()
	return fuse.Status(t.flush(ctx, h, in.Pid))
}

func (t *Tree) flush(ctx context.Context, h *handle, thread uint32) syscall.Errno {
	f := h.node.file
	f.content.Lock()
	defer f.content.Unlock()
	if !h.dirty {
		return h.answer // nobody but the opener sees one that is not 0: a change resets it
	}
	who := caller(thread)
	if who != h.opener {
		who = callerOf(thread)
	}
	owner := h.opener.is(who)
	if h.wrote(who) && wasKilled(thread) {
		h.killed = true
		return 0 // nobody is there to be told
	}
	if h.killed {
		return 0
	}
	if owner {
		h.settled = true
	}
	if size, ok := f.size(); ok && size == 0 {
		return 0 // a file that is not written yet looks the same
	}
	decided, err := t.judge(ctx, h.node, h, owner)
	if !decided || err != nil && !owner {
		return 0
	}
	t.answer(h, err)
	return h.answer
}

// size is that of the open file; ok is false of a ghost.
func (f *file) size() (size int64, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.backing == nil || f.ghost != nil {
		return 0, false
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.backing.Fd()), &st); err != nil {
		return 0, false
	}
	return st.Size, true
}

// answer notes the verdict on all that was written so far, and tells the user who cannot see it. content is held.
func (t *Tree) answer(h *handle, err error) {
	h.dirty, h.settled = false, true
	h.answer = 0
	if err != nil {
		h.answer = syscall.Errno(t.refuse(h.node, err))
	}
}

// settle judges what is left when a handle ends. content is held.
func (t *Tree) settle(ctx context.Context, h *handle) {
	f := h.node.file
	f.writers = slices.DeleteFunc(f.writers, func(o *handle) bool { return o == h })
	if !h.dirty {
		return
	}
	if h.killed {
		if r, _, _, err := t.roleOf(ctx, h.node); err == nil && r == waits {
			return // nobody takes it for more than it is
		}
		t.answer(h, &refusal{errno: syscall.EINTR, why: "its writer was killed, so that it may not be whole",
			advice: "Copy the file here again, or remove it."})
		return
	}
	if len(f.writers) > 0 { // whoever closes last speaks for all
		f.writers[0].dirty = true
		return
	}
	if _, err := t.judge(ctx, h.node, h, true); err != nil {
		t.answer(h, err)
	}
}

// roleOf tells what a file is for where it is; what was removed is for nothing.
func (t *Tree) roleOf(ctx context.Context, n *node) (role, place, Table, error) {
	at, err := t.place(n)
	if errors.Is(err, syscall.ESTALE) {
		return waits, at, Table{}, nil
	}
	var table Table
	if err == nil && at.depth > depthTable {
		table, err = t.publisher.Table(ctx, at.table)
	}
	if err != nil {
		return waits, at, table, err
	}
	return at.role(table.Kind, n.file.made), at, table, nil
}

// judge finds the verdict on a staged file where it is, and publishes it where that is what its place is for. h is the
// handle whose bytes are judged, owner says whether its opener asks; undecided is what has to wait for the opener.
// content is held.
func (t *Tree) judge(ctx context.Context, n *node, h *handle, owner bool) (decided bool, err error) {
	r, at, table, err := t.roleOf(ctx, n)
	if err != nil || r == waits || r == marker {
		return true, err
	}
	if !owner && (r == describes || table.Kind == manifest.Files) {
		return false, nil
	}
	unpin := t.pin(n)
	defer unpin()
	s, err := t.staged(n, strings.Join(at.below, "/"))
	if err != nil {
		return true, err
	}
	if _, err := os.Lstat(s.Path + aria2Control); err == nil {
		return true, nil // aria2c is not through with it
	}
	return true, t.judgeAs(ctx, n, h, r, at, table, s)
}

func (t *Tree) judgeAs(ctx context.Context, n *node, h *handle, r role, at place, table Table, s stagedFile) error {
	var p Published
	var err error
	switch r {
	case describes:
		p, err = t.register(ctx, at, s)
	case single:
		if f := n.file; f.wasBy == nil || f.wasBy == h {
			s.Replaces = f.was
		}
		p, err = t.publish(ctx, table, s)
	case batched:
		return t.checkPath(ctx, table, at, s)
	default:
		err = misplacedError(r, at)
	}
	if err == nil {
		t.leaves(n, h, p, &s.st)
	}
	return err
}

// misplacedError tells why a file cannot be published where it is, whatever it holds.
func misplacedError(r role, at place) error {
	if r == misplaced {
		return &refusal{errno: syscall.EINVAL, why: "a batch is a directory: " + at.below[0] + "/<batch>/ with the files in it",
			advice: "Move the file into such a directory, and create " + successName + " there."}
	}
	return &refusal{errno: syscall.EINVAL, advice: askRegister, why: "the table " + at.table.String() +
		" is not declared. A parquet file would make it; for any other file its manifest has to say that it is one of files"}
}

// staged describes a staged file as the Publisher wants it. content is held, and the path pinned.
func (t *Tree) staged(n *node, name string) (stagedFile, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	s := stagedFile{}
	path, err := t.path(n)
	if err != nil {
		return s, err
	}
	if err := syscall.Lstat(path, &s.st); err != nil {
		return s, err
	}
	sum := n.file.sum
	s.File = File{Path: path, Name: name, Size: s.st.Size, Stat: &s.st, Sum: sum.sumOf(s.st.Size), Content: sum.contentOf(s.st.Size)}
	return s, nil
}

type stagedFile struct {
	File
	st syscall.Stat_t
}

// publish publishes one file by itself.
func (t *Tree) publish(ctx context.Context, table Table, s stagedFile) (Published, error) {
	if s.Size == 0 && table.Kind != manifest.Files {
		return Published{}, errEmpty
	}
	published, err := t.publisher.Publish(ctx, table, Batch{Files: []File{s.File}, Early: true})
	if err != nil {
		return Published{}, err
	}
	return published[0], nil
}

var errEmpty = &refusal{errno: syscall.EINVAL, why: "it is empty, which no parquet file is", advice: fixAndCopy}

// register registers a staged manifest, and removes it.
func (t *Tree) register(ctx context.Context, at place, s stagedFile) (Published, error) {
	if s.Size > maxManifest {
		return Published{}, &refusal{errno: syscall.EFBIG, why: "it is too large for a manifest", advice: fixAndCopy}
	}
	data, err := os.ReadFile(s.Path)
	if err != nil {
		return Published{}, err
	}
	p, err := t.publisher.Register(ctx, at.dataset, data)
	if err != nil {
		return Published{}, err
	}
	return p, os.Remove(s.Path)
}

// leaves notes that the content of a staged file has become part of the table.
func (t *Tree) leaves(n *node, by *handle, p Published, st *syscall.Stat_t) {
	var a fuse.Attr
	t.fillAttr(n, st, &a)
	t.publishedAs(n, p, by, a)
	for _, h := range n.file.writers {
		h.dirty, h.settled, h.answer = false, true, 0
	}
	t.clearReport(n)
}

// checkPath checks a file that waits for its batch; in a files table there is nothing to check.
func (t *Tree) checkPath(ctx context.Context, table Table, at place, s stagedFile) error {
	if table.Kind == manifest.Files {
		return nil
	}
	if s.Size == 0 {
		return errEmpty
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return t.checkParquet(ctx, table, at, f, s.Size)
}

// checkParquet makes every verdict on content one of content: a wrong schema is no conflict that will pass.
func (t *Tree) checkParquet(ctx context.Context, table Table, at place, r io.ReaderAt, size int64) error {
	err := t.publisher.Check(ctx, table, strings.Join(at.below, "/"), r, size)
	if errors.Is(err, fault.ErrConflict) || errors.Is(err, iofs.ErrInvalid) {
		return &refusal{errno: syscall.EINVAL, why: err.Error(), advice: fixAndCopy}
	}
	return err
}

// finished judges a file whose control file is gone, if it waits. Its refusal is told by its report.
func (t *Tree) finished(parent *node, name string) {
	n := t.nodes.child(parent, name)
	if n == nil || n.file == nil {
		st, err := t.lstat(parent, name)
		if err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			return
		}
		n = t.nodes.hold(parent, name, st)
		defer t.nodes.release(n)
	}
	n.file.content.Lock()
	defer n.file.content.Unlock()
	if n.file.ghostOf() != nil || slices.ContainsFunc(n.file.writers, func(h *handle) bool { return !h.settled }) {
		return
	}
	if _, err := t.judge(t.ctx, n, nil, true); err != nil {
		t.refuse(n, err)
	}
}

// pin keeps the path of a node while its content is published.
func (t *Tree) pin(n *node) (unpin func()) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	return t.nodes.pin(n)
}
