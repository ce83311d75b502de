package staging

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or directory that the kernel knows, or a ghost, or a directory on the way to one.
type node struct {
	id   uint64     // the kernel's handle on it, never given to another
	ino  uint64     // what stat shows, that of the backing file when it was first seen
	file *file      // of a regular file
	dir  *directory // of a directory
	own  bool       // its name is that of a report, which changes without the kernel

	// guarded by nodes.mu
	parent   *node
	name     string
	children map[string]*node
	lookups  uint64
	ghost    bool // is kept for its own sake
	pins     int  // operations under way that need the path of what is below
}

// directory is the state of a directory's node.
type directory struct {
	commit sync.Mutex

	// guarded by nodes.mu
	committing bool
	reopened   bool // takes data again, though the _SUCCESS of the last time is there
}

// nodes is the table of all nodes.
type nodes struct {
	mu   sync.Mutex
	idle sync.Cond // pins have become fewer; its lock is mu
	byID map[uint64]*node
	root *node
	base uint64 // added to each number
	last uint64
}

func newNodes(rootID, base uint64) *nodes {
	root := &node{id: rootID, ino: rootID, dir: &directory{}, lookups: 1}
	s := &nodes{byID: map[uint64]*node{rootID: root}, root: root, base: base, last: fuse.FUSE_ROOT_ID}
	s.idle.L = &s.mu
	return s
}

func (s *nodes) get(id uint64) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[id]
}

// directory is the node of that number if it is one of a directory.
func (s *nodes) directory(id uint64) (*node, error) {
	if n := s.get(id); n != nil && n.dir != nil {
		return n, nil
	}
	return nil, syscall.ESTALE
}

func (s *nodes) child(parent *node, name string) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return parent.children[name]
}

// add returns the child of that name and type, which is made where there is none, and counts lookups of the kernel.
func (s *nodes) add(parent *node, name string, st *syscall.Stat_t, lookups uint64) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	isDir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR
	if n := parent.children[name]; n != nil && (n.dir != nil) == isDir {
		n.lookups += lookups
		return n
	}
	s.last++
	n := &node{id: s.base | s.last, ino: s.base | st.Ino, parent: parent, name: name, lookups: lookups,
		own: strings.HasSuffix(name, errorSuffix)}
	if isDir {
		n.dir = &directory{}
	} else {
		n.file = &file{}
	}
	s.byID[n.id] = n
	s.unlink(parent, name)
	if parent.children == nil {
		parent.children = map[string]*node{}
	}
	parent.children[name] = n
	return n
}

// hold is add without the kernel, until release.
func (s *nodes) hold(parent *node, name string, st *syscall.Stat_t) *node {
	n := s.add(parent, name, st, 0)
	s.mu.Lock()
	defer s.mu.Unlock()
	n.pins++
	return n
}

func (s *nodes) release(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n.pins--
	s.idle.Broadcast()
	s.reap(n)
}

// forget takes back lookups that the kernel was told of.
func (s *nodes) forget(id, lookups uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.byID[id]; n != nil && n != s.root {
		n.lookups -= min(lookups, n.lookups)
		s.reap(n)
	}
}

// forgetAll is told that the kernel knows nothing any more.
func (s *nodes) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Collect(maps.Values(s.byID)) {
		if n != s.root {
			n.lookups = 0
			s.reap(n)
		}
	}
}

// reap drops a node that nobody needs, and its parents likewise. mu is held.
func (s *nodes) reap(n *node) {
	for n != nil && n != s.root && n.lookups == 0 && !n.ghost && n.pins == 0 && len(n.children) == 0 {
		parent := n.parent
		delete(s.byID, n.id)
		if parent != nil {
			delete(parent.children, n.name)
		}
		n.parent = nil
		n = parent
	}
}

// drop takes a name away; the node stays as long as the kernel knows it.
func (s *nodes) drop(parent *node, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(parent, name)
	s.reap(parent)
}

// dropPath is drop for a path, as far as there are nodes on it.
func (s *nodes) dropPath(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, last := s.root, len(names)-1
	for _, name := range names[:last] {
		if parent = parent.children[name]; parent == nil {
			return
		}
	}
	s.unlink(parent, names[last])
	s.reap(parent)
}

// unlink is drop with mu held. Ghosts below go with their directory.
func (s *nodes) unlink(parent *node, name string) {
	n := parent.children[name]
	if n == nil {
		return
	}
	delete(parent.children, name)
	n.parent, n.ghost = nil, false
	for below := range n.children {
		s.unlink(n, below)
	}
	s.reap(n)
}

// move gives a node another name. Tree.shape is held exclusively.
func (s *nodes) move(from *node, name string, to *node, newName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := from.children[name]
	s.unlink(to, newName)
	if n == nil {
		return
	}
	delete(from.children, name)
	if to.children == nil {
		to.children = map[string]*node{}
	}
	to.children[newName] = n
	n.parent, n.name = to, newName
	s.reap(from)
}

// setGhost says whether a node is to be kept though the kernel forgets it.
func (s *nodes) setGhost(n *node, ghost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.parent == nil {
		return
	}
	n.ghost = ghost
	s.reap(n)
}

func (s *nodes) parentOf(n *node) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.parent
}

func (s *nodes) batchState(dir *node) (committing, reopened bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return dir.dir.committing, dir.dir.reopened
}

func (s *nodes) setBatchState(dir *node, set func(*directory)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(dir.dir)
}

// files are the nodes of regular files below a directory.
func (s *nodes) files(dir *node) []*node {
	s.mu.Lock()
	defer s.mu.Unlock()
	var files []*node
	var walk func(*node)
	walk = func(n *node) {
		for _, c := range n.children {
			if c.file != nil {
				files = append(files, c)
			} else {
				walk(c)
			}
		}
	}
	walk(dir)
	return files
}

// names is the path of a node below the root and of more names below it; ok is false for what has no name any more.
func (s *nodes) names(n *node, more ...string) (names []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	depth := 0
	for m := n; m != s.root; m = m.parent {
		if m == nil {
			return nil, false
		}
		depth++
	}
	names = make([]string, depth, depth+len(more))
	for m := n; m != s.root; m = m.parent {
		depth--
		names[depth] = m.name
	}
	return append(names, more...), true
}

// pin keeps the path of n as it is until the returned function is called: a rename of a directory above waits for it.
func (s *nodes) pin(n *node) (unpin func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var pinned []*node
	for m := n; m != nil; m = m.parent {
		m.pins++
		pinned = append(pinned, m)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, m := range pinned {
			m.pins--
		}
		s.idle.Broadcast()
		s.reap(n)
	}
}

func (s *nodes) pinned(n *node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n.pins > 0
}

// awaitUnpinned waits until no path below n is pinned.
func (s *nodes) awaitUnpinned(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n.pins > 0 {
		s.idle.Wait()
	}
}

// path is the backing path of n and more names below it. Tree.shape is held.
func (t *Tree) path(n *node, more ...string) (string, error) {
	names, ok := t.nodes.names(n, more...)
	if !ok {
		return "", syscall.ESTALE
	}
	return filepath.Join(append([]string{t.dir}, names...)...), nil
}

// place is what the path of n and of more names below it means.
func (t *Tree) place(n *node, more ...string) (place, error) {
	names, ok := t.nodes.names(n, more...)
	if !ok {
		return place{}, syscall.ESTALE
	}
	return placeOf(names)
}
