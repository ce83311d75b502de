package staging

import (
	"cmp"
	"context"
	"errors"
	iofs "io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/manifest"
)

// renaming is one rename. The kernel lets nothing else change the names in both directories meanwhile.
type renaming struct {
	from, to         *node
	oldName, newName string
	flags            uint
	at               place // of the new name
}

// Rename moves a file or directory. Many programs finish a file so: what gets a name that is data is published, and the
// refusal is the answer, with the file under its old name.
func (t *Tree) Rename(cancel <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	from, err := t.nodes.directory(in.NodeId)
	if err != nil {
		return fuse.ToStatus(err)
	}
	to, err := t.nodes.directory(in.Newdir)
	if err != nil {
		return fuse.ToStatus(err)
	}
	r := renaming{from: from, to: to, oldName: oldName, newName: newName, flags: uint(in.Flags)}
	if r.flags&^unix.RENAME_NOREPLACE != 0 {
		return fuse.EINVAL
	}
	if r.at, err = t.place(to, newName); err != nil {
		return t.status("rename", from, err)
	}
	n := t.nodes.child(from, oldName)
	if n == nil {
		return fuse.ENOENT
	}
	ctx, stop := t.interruptible(cancel, in.Pid)
	defer stop()
	if n.dir != nil {
		err = t.renameDirectory(ctx, n, r)
	} else {
		err = t.renameFile(ctx, n, r)
	}
	if err == nil {
		return fuse.OK
	}
	if own := (*moveError)(nil); errors.As(err, &own) {
		return t.status("rename", from, err)
	}
	return t.refuseName(to, newName, err)
}

// moveError is of the rename itself, and no verdict on a file.
type moveError struct{ error }

func (e *moveError) Unwrap() error { return e.error }

func (t *Tree) renameFile(ctx context.Context, n *node, r renaming) error {
	if r.at.depth < depthTable {
		return &moveError{syscall.EPERM}
	}
	locked := []*node{n}
	if over := t.nodes.child(r.to, r.newName); over != nil && over.file != nil && over != n {
		locked = append(locked, over)
		slices.SortFunc(locked, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	}
	for _, l := range locked {
		l.file.content.Lock()
		defer l.file.content.Unlock()
	}
	if err := t.batchTakes(r.to, r.at); err != nil {
		return err
	}
	var table Table
	var err error
	if r.at.depth > depthTable {
		if table, err = t.publisher.Table(ctx, r.at.table); err != nil {
			return err
		}
	}
	if g := n.file.ghostOf(); g != nil {
		return t.renameGhost(ctx, n, g, r, table)
	}
	if err := t.renameStaged(ctx, n, r, table); err != nil {
		return err
	}
	n.file.made = plainly
	return nil
}

// renameStaged judges a staged file under its new name.
func (t *Tree) renameStaged(ctx context.Context, n *node, r renaming, table Table) error {
	role := r.at.role(table.Kind, plainly)
	busy := slices.ContainsFunc(n.file.writers, func(h *handle) bool { return h.dirty && !h.settled })
	if role == waits || busy && role != marker { // who writes on is judged at its own FLUSH
		return t.moveName(r)
	}
	defer t.pin(n)()
	s, err := t.staged(n, strings.Join(r.at.below, "/"))
	if err != nil {
		return err
	}
	switch role {
	case marker:
		return t.renameMarker(ctx, r)
	case batched:
		err = t.checkPath(ctx, table, r.at, s)
	case describes:
		return t.publishRenamed(n, r, s, func() (Published, error) { return t.register(ctx, r.at, s) })
	case single:
		return t.publishRenamed(n, r, s, func() (Published, error) { return t.publish(ctx, table, s) })
	default:
		err = misplacedError(role, r.at)
	}
	if err != nil {
		return err
	}
	return t.moveName(r)
}

// renameMarker commits a batch by a file that becomes its _SUCCESS, and before that might have been its data.
func (t *Tree) renameMarker(ctx context.Context, r renaming) error {
	if err := t.moveName(r); err != nil {
		return err
	}
	err := t.commit(ctx, r.to, r.at)
	if err != nil {
		back := renaming{from: r.to, to: r.from, oldName: r.newName, newName: r.oldName}
		err = errors.Join(err, t.moveName(back))
	}
	return err
}

// publishRenamed publishes what is to have another name, and has the ghost have it.
func (t *Tree) publishRenamed(n *node, r renaming, s stagedFile, publish func() (Published, error)) error {
	p, err := publish()
	if err != nil {
		return err
	}
	t.shape.Lock()
	if path, err := t.path(r.to, r.newName); err == nil {
		_ = syscall.Unlink(path) // a staged file that it replaces
	}
	t.nodes.move(r.from, r.oldName, r.to, r.newName)
	t.shape.Unlock()
	t.leaves(n, nil, p, &s.st)
	return nil
}

// renameGhost moves what was published under a name that we did not know for a temporary one.
func (t *Tree) renameGhost(ctx context.Context, n *node, g *ghost, r renaming, table Table) error {
	was, err := t.place(n)
	if err != nil {
		return err
	}
	if was.table != r.at.table || was.role(table.Kind, n.file.made) != single || r.at.role(table.Kind, plainly) != single {
		return &moveError{syscall.EXDEV} // copy it
	}
	if table.Kind == manifest.Files {
		moves := []Move{{Published: g.published, Name: strings.Join(r.at.below, "/")}}
		p, err := t.publisher.Rename(ctx, table, moves)
		if err != nil {
			return err
		}
		n.file.setPublished(p[0])
	}
	t.shape.Lock()
	defer t.shape.Unlock()
	if path, err := t.path(r.to, r.newName); err == nil {
		_ = syscall.Unlink(path) // a staged file that it replaces
	}
	t.nodes.move(r.from, r.oldName, r.to, r.newName)
	return nil
}

// moveName moves a name and nothing else.
func (t *Tree) moveName(r renaming) error {
	t.shape.Lock()
	defer t.shape.Unlock()
	from, err := t.path(r.from, r.oldName)
	if err != nil {
		return err
	}
	to, err := t.path(r.to, r.newName)
	if err != nil {
		return err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, r.flags); err != nil {
		return &moveError{err}
	}
	t.nodes.move(r.from, r.oldName, r.to, r.newName)
	return nil
}

// renameDirectory moves a directory with all below it. A finished batch is committed so, and so is published what
// waited below a temporary name.
func (t *Tree) renameDirectory(ctx context.Context, n *node, r renaming) error {
	was, err := t.place(n)
	if err != nil {
		return err
	}
	if was.depth <= depthTable || r.at.depth <= depthTable {
		return &moveError{syscall.EPERM}
	}
	data := r.at
	data.below = append(slices.Clone(data.below), "any.parquet")
	if err := t.batchTakes(r.to, data); !r.at.isBatch() && err != nil {
		return err
	}
	if err := t.moveDirectory(n, r); err != nil {
		return err
	}
	if err := t.publishMoved(ctx, n, was, r.at); err != nil {
		back := renaming{from: r.to, to: r.from, oldName: r.newName, newName: r.oldName}
		return errors.Join(err, t.moveDirectory(n, back))
	}
	return nil
}

// moveDirectory waits for what is being published below.
func (t *Tree) moveDirectory(n *node, r renaming) error {
	for {
		t.nodes.awaitUnpinned(n)
		pinned, err := t.tryMoveDirectory(n, r)
		if !pinned {
			return err
		}
	}
}

func (t *Tree) tryMoveDirectory(n *node, r renaming) (pinned bool, err error) {
	t.shape.Lock()
	defer t.shape.Unlock()
	if t.nodes.pinned(n) {
		return true, nil
	}
	from, err := t.path(r.from, r.oldName)
	if err != nil {
		return false, err
	}
	to, err := t.path(r.to, r.newName)
	if err != nil {
		return false, err
	}
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, r.flags); err != nil {
		return false, &moveError{err}
	}
	t.nodes.move(r.from, r.oldName, r.to, r.newName)
	return false, nil
}

// publishMoved publishes what a directory's new place makes of what lies in it.
func (t *Tree) publishMoved(ctx context.Context, dir *node, was, at place) error {
	if at.isBatch() {
		_, err := t.lstat(dir, successName)
		if errors.Is(err, iofs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.commit(ctx, dir, at)
	}
	if at.below[0] == replaceName || at.below[0] == appendName {
		return nil
	}
	defer t.pin(dir)()
	table, err := t.publisher.Table(ctx, at.table)
	if err != nil {
		return err
	}
	moved := t.movedGhosts(dir, was, table)
	files, unlock, err := t.collect(dir, table, at)
	if err != nil {
		return err
	}
	defer unlock()
	if len(files) > 0 {
		if err := t.publishAll(ctx, table, Batch{}, files); err != nil {
			return err
		}
	}
	return t.renameGhosts(ctx, table, moved)
}

func (f *file) setPublished(p Published) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ghost != nil {
		g := *f.ghost
		g.published = p
		f.ghost = &g
	}
}

// movedGhosts are the ghosts below a directory that has moved, by the nodes that tell their new names.
func (t *Tree) movedGhosts(dir *node, was place, table Table) map[*node]*ghost {
	moved := map[*node]*ghost{}
	if table.Kind != manifest.Files || was.below[0] == replaceName || was.below[0] == appendName {
		return moved
	}
	for _, n := range t.nodes.files(dir) {
		at, err := t.place(n)
		if g := n.file.ghostOf(); g != nil && err == nil && was.table == at.table && at.role(table.Kind, plainly) == single {
			moved[n] = g
		}
	}
	return moved
}

// renameGhosts gives what was published the names that it has now.
func (t *Tree) renameGhosts(ctx context.Context, table Table, moved map[*node]*ghost) error {
	var found []*node
	var moves []Move
	for n, g := range moved {
		if at, err := t.place(n); err == nil {
			found = append(found, n)
			moves = append(moves, Move{Published: g.published, Name: strings.Join(at.below, "/")})
		}
	}
	if len(moves) == 0 {
		return nil
	}
	published, err := t.publisher.Rename(ctx, table, moves)
	if err != nil {
		return err
	}
	for i, n := range found {
		n.file.setPublished(published[i])
	}
	return nil
}
