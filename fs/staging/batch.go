package staging

import (
	"cmp"
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// batchTakes says whether data may come to a place: not into a batch while it is committed, nor after that. directory is
// the one it would lie in.
func (t *Tree) batchTakes(directory *node, at place) error {
	_, name, rest, ok := at.batch()
	if !ok || len(rest) == 0 || at.isMarker() {
		return nil
	}
	for range len(rest) - 1 {
		if directory = t.nodes.parentOf(directory); directory == nil {
			return syscall.ESTALE
		}
	}
	committing, reopened := t.nodes.batchState(directory)
	if !committing {
		_, err := t.lstat(directory, successName)
		if errors.Is(err, iofs.ErrNotExist) || reopened {
			return nil
		}
		if err != nil {
			return err
		}
	}
	table, err := t.publisher.Table(t.ctx, at.table)
	if err != nil || at.role(table.Kind, plainly) != batched {
		return err
	}
	return &refusal{errno: syscall.EROFS, why: "the batch " + name + " is committed already",
		advice: "Remove its " + successName + " to begin the next one, or use a directory of another name."}
}

// mayTakeData says whether a file may be written to where it is.
func (t *Tree) mayTakeData(n *node) error {
	parent := t.nodes.parentOf(n)
	if parent == nil {
		return nil // an orphan may be written to
	}
	at, err := t.place(n)
	if err != nil || at.depth <= depthTable {
		return err
	}
	return t.batchTakes(parent, at)
}

// reopen begins another round of a batch: Spark and Hadoop leave the old _SUCCESS where it is until they are done.
func (t *Tree) reopen(dir *node) {
	if at, err := t.place(dir); err == nil && at.isBatch() {
		t.nodes.setBatchState(dir, func(d *directory) { d.reopened = true })
	}
}

// commitAgain answers the truncation of a _SUCCESS that is there: it commits what came since.
func (t *Tree) commitAgain(ctx context.Context, success *node) error {
	dir := t.nodes.parentOf(success)
	if dir == nil {
		return nil
	}
	at, err := t.place(dir)
	if err != nil {
		return err
	}
	if _, reopened := t.nodes.batchState(dir); !reopened {
		return nil
	}
	return t.commit(ctx, dir, at)
}

// commit publishes a batch's files together. at is the place of the batch's directory, or of a name below it.
func (t *Tree) commit(ctx context.Context, dir *node, at place) error {
	dir.dir.commit.Lock()
	defer dir.dir.commit.Unlock()
	t.nodes.setBatchState(dir, func(d *directory) { d.committing = true })
	defer t.nodes.setBatchState(dir, func(d *directory) { d.committing = false })
	defer t.pin(dir)()

	table, err := t.publisher.Table(ctx, at.table)
	if err != nil {
		return err
	}
	files, unlock, err := t.collect(dir, table, at)
	if err != nil {
		return err
	}
	defer unlock()
	mode, name, _, _ := at.batch()
	if len(files) == 0 {
		return &refusal{errno: syscall.EINVAL, why: "the batch " + name + " holds no data file",
			advice: "Write its files first, and create " + successName + " last."}
	}
	if err := t.publishAll(ctx, table, Batch{Name: name, Replace: mode == replaceName}, files); err != nil {
		return err
	}
	t.nodes.setBatchState(dir, func(d *directory) { d.reopened = false })
	t.clearReport(dir)
	t.clearReport(dir, successName)
	return nil
}

// publishAll publishes files together. Their content is held.
func (t *Tree) publishAll(ctx context.Context, table Table, b Batch, files []collected) error {
	for _, f := range files {
		b.Files = append(b.Files, f.File)
	}
	published, err := t.publisher.Publish(ctx, table, b)
	if err != nil {
		return err
	}
	for i, f := range files {
		t.leaves(f.node, nil, published[i], &f.st)
	}
	return nil
}

// collected is a data file of a batch.
type collected struct {
	stagedFile
	node *node
}

// collect finds the data files below a directory whose path is pinned, and holds their content until unlock. at is the
// place of the directory or of a name below it. A file that somebody still writes to makes it fail.
func (t *Tree) collect(dir *node, table Table, at place) (files []collected, unlock func(), err error) {
	if _, _, rest, ok := at.batch(); ok {
		at.below = at.below[:len(at.below)-len(rest)]
	}
	c := &collector{tree: t, table: table, at: at}
	if err := c.walk(dir, nil); err != nil {
		c.release()
		return nil, nil, err
	}
	slices.SortFunc(c.files, func(a, b collected) int { return strings.Compare(a.Name, b.Name) })
	if err := c.hold(); err != nil {
		c.release()
		return nil, nil, err
	}
	return c.files, c.release, nil
}

type collector struct {
	tree  *Tree
	table Table
	at    place
	files []collected
	held  []*node
	locks int // how many of held, in the order of their numbers, are locked
}

// walk adds the data files below dir, which has the names rel below the place where the walk began.
func (c *collector) walk(dir *node, rel []string) error {
	t := c.tree
	entries, err := t.readBacking(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		names := append(slices.Clone(rel), e.Name())
		st, err := t.lstat(dir, e.Name())
		switch {
		case errors.Is(err, iofs.ErrNotExist):
		case err != nil:
			return err
		case st.Mode&syscall.S_IFMT == syscall.S_IFDIR:
			n := t.nodes.hold(dir, e.Name(), st)
			err = c.walk(n, names)
			t.nodes.release(n)
		case st.Mode&syscall.S_IFMT == syscall.S_IFREG:
			err = c.file(dir, names, st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) file(dir *node, names []string, st *syscall.Stat_t) error {
	t := c.tree
	at := c.at
	at.below = append(slices.Clone(at.below), names...)
	at.depth = depthTable + len(at.below)
	made := plainly
	if n := t.nodes.child(dir, at.below[len(at.below)-1]); n != nil && n.file != nil {
		made = n.file.made
	}
	if r := at.role(c.table.Kind, made); r != batched && r != single {
		return nil
	}
	t.shape.RLock()
	path, err := t.path(dir, names[len(names)-1])
	t.shape.RUnlock()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path + aria2Control); err == nil || isReport(path) {
		return nil
	}
	n := t.nodes.hold(dir, names[len(names)-1], st)
	c.held = append(c.held, n)
	name := strings.Join(names, "/")
	if at.role(c.table.Kind, made) == single {
		name = strings.Join(at.below, "/")
	}
	c.files = append(c.files, collected{stagedFile{File{Path: path, Name: name}, *st}, n})
	return nil
}

// hold takes the content of all files, and then looks at it.
func (c *collector) hold() error {
	slices.SortFunc(c.held, func(a, b *node) int { return cmp.Compare(a.id, b.id) })
	for _, n := range c.held {
		n.file.content.Lock()
		c.locks++
	}
	for i := range c.files {
		f := &c.files[i]
		if slices.ContainsFunc(f.node.file.writers, func(h *handle) bool { return h.dirty && !h.settled }) {
			return &refusal{errno: syscall.EBUSY, why: f.Name + " is still open for writing", advice: "Close it, and try again."}
		}
		if err := syscall.Lstat(f.Path, &f.st); err != nil {
			return err
		}
		f.Size = f.st.Size
		f.Sum = f.node.file.sum.sumOf(f.Size)
	}
	return nil
}

func (c *collector) release() {
	for i, n := range c.held {
		if i < c.locks {
			n.file.content.Unlock()
		}
		c.tree.nodes.release(n)
	}
}
