package staging

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// file is the state of a regular file's node.
type file struct {
	content sync.Mutex // see the package comment
	// guarded by content
	made    creation
	sum     *running // nil where it is lost
	writers []*handle
	refused int64     // where a refused WRITE ended, which the program may repeat in part
	was     Published // what the content was before a writer went on after it was published
	wasBy   *handle   // who had published that; nil for everybody

	mu sync.RWMutex
	// guarded by mu
	backing *os.File // open while a handle is, but for a ghost's
	write   bool     // backing is open for writing
	opens   int
	ghost   *ghost
}

// ghost is a file whose content has left for the table. It is replaced, never changed.
type ghost struct {
	published Published
	by        *handle   // who published it, nil where nobody may correct it
	attr      fuse.Attr // as it was, and as it was set since
	until     time.Time
}

// ghostOf is the ghost that a node stands for, or nil.
func (f *file) ghostOf() *ghost {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ghost
}

// ghost finds the ghost of a name, nil where there is none or its time is over.
func (t *Tree) ghost(parent *node, name string) (*node, *ghost) {
	n := t.nodes.child(parent, name)
	if n == nil || n.file == nil {
		return nil, nil
	}
	g := n.file.ghostOf()
	if g == nil || time.Now().After(g.until) {
		return nil, nil
	}
	return n, g
}

// ghosts are the published files that can still be found, the oldest first.
type ghosts struct {
	mu    sync.Mutex
	queue []queuedGhost
}

type queuedGhost struct {
	node  *node
	until time.Time // of a later ghost of the node it is another
}

// publishedAs makes a ghost of a node whose content has left. content is held.
func (t *Tree) publishedAs(n *node, p Published, by *handle, a fuse.Attr) {
	g := &ghost{published: p, by: by, attr: a, until: time.Now().Add(t.ghostLife)}
	n.file.mu.Lock()
	n.file.ghost = g
	n.file.mu.Unlock()
	n.file.sum, n.file.was, n.file.wasBy = nil, Published{}, nil
	t.nodes.setGhost(n, true)

	for _, q := range t.ghosts.push(queuedGhost{n, g.until}) {
		if old := q.node.file.ghostOf(); old != nil && old.until.Equal(q.until) {
			t.nodes.setGhost(q.node, false)
		}
	}
}

// push adds a ghost and returns those whose time is over.
func (s *ghosts) push(q queuedGhost) (over []queuedGhost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, q)
	n, now := 0, time.Now()
	for now.After(s.queue[n].until) {
		n++
	}
	over = slices.Clone(s.queue[:n])
	s.queue = s.queue[n:]
	return over
}

// wholeContent as the size of a revival keeps all of the published content.
const wholeContent = -1

// revive makes a staged file of a ghost before it is written to, or truncated to size. What was published stays what it
// is: the staged file begins with a copy of it. by is the handle that writes, nil where there is none. content is held.
func (t *Tree) revive(ctx context.Context, n *node, by *handle, size int64) error {
	g := n.file.ghostOf()
	if g == nil || size == int64(g.attr.Size) {
		return nil
	}
	if err := t.mayTakeData(n); err != nil {
		return err
	}
	f, err := t.createBacking(n, g)
	if err != nil {
		return err
	}
	if size != 0 {
		if err := t.copyPublished(ctx, f, g.published); err != nil {
			t.discardBacking(n, f)
			return err
		}
	}
	n.file.replaceBacking(f)
	n.file.sum = nil
	if size == 0 {
		n.file.sum = newRunning(f)
	}
	n.file.was, n.file.wasBy = Published{}, nil
	switch {
	case g.attr.Size == 0: // who has closed an empty file has said nothing yet
		n.file.was = g.published
	case by != nil && g.by == by:
		n.file.was, n.file.wasBy = g.published, by
	}
	t.nodes.setGhost(n, false)
	return nil
}

// replaceBacking makes f, open for writing, the content of what was a ghost.
func (f *file) replaceBacking(backing *os.File) {
	f.mu.Lock()
	old := f.backing
	f.ghost, f.backing, f.write = nil, backing, true
	if f.opens == 0 {
		old, f.backing = backing, nil
	}
	f.mu.Unlock()
	if old != nil {
		_ = old.Close() // either the published content, which is durable, or to be synced when it is published
	}
}

func (t *Tree) createBacking(n *node, g *ghost) (*os.File, error) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	path, err := t.path(n)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := setOwnerAndMode(f, g.attr.Mode, g.attr.Owner); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (t *Tree) discardBacking(n *node, f *os.File) {
	t.shape.RLock()
	defer t.shape.RUnlock()
	if path, err := t.path(n); err == nil {
		_ = os.Remove(path) // what stays is a staged file like any other
	}
	_ = f.Close()
}

func (t *Tree) copyPublished(ctx context.Context, to *os.File, p Published) error {
	from, err := t.publisher.Open(ctx, p)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = io.Copy(to, reader(from))
	return err
}

// reader reads all of a content; from a file the kernel can copy.
func reader(c Content) io.Reader {
	if f, ok := c.(*os.File); ok {
		return f
	}
	return io.NewSectionReader(c, 0, math.MaxInt64)
}

// setOwnerAndMode gives a new file what the caller asked for: the umask of this process must not count.
func setOwnerAndMode(f *os.File, mode uint32, owner fuse.Owner) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if os.Geteuid() == 0 && (st.Uid != owner.Uid || st.Gid != owner.Gid) {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if st.Mode&0o7777 != mode&0o777 {
		return f.Chmod(os.FileMode(mode & 0o777))
	}
	return nil
}
