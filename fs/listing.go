package fs

import (
	"context"
	"strings"
	"sync"
	"unsafe"
)

// chunkEntries is how many entries are kept together: what a growing slice would copy and leave behind is bounded by it.
const chunkEntries = 1024

// listing is a directory's entries at one moment, packed: a table of a million files takes about 70 MB while it is
// being read, and nothing after.
type listing struct {
	chunks []*chunk // all full but the last
	nodes  []listedNode
	size   int // entries
}

// chunk holds the entries without pointers to follow: the collector passes over it.
type chunk struct {
	names   strings.Builder
	records []record
}

// record is an attr whose mode follows from node.
type record struct {
	ino         uint64
	size, mtime int64
	nameEnd     uint32 // in the chunk's names
	node        int32  // index in nodes; -1 for a file of a revision
}

type listedNode struct {
	node node
	mode uint32
}

// readListing runs d's query once.
func readListing(ctx context.Context, d directory) (*listing, error) {
	l := &listing{}
	if err := d.list(ctx, l.add); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *listing) add(e entry) {
	c := l.last()
	c.names.WriteString(e.name)
	r := record{ino: e.attr.ino, size: e.attr.size, mtime: e.attr.mtime, nameEnd: uint32(c.names.Len()), node: -1}
	if e.node != nil {
		r.node = int32(len(l.nodes))
		l.nodes = append(l.nodes, listedNode{e.node, e.attr.mode})
	}
	c.records = append(c.records, r)
	l.size++
}

// last is the chunk that has room. The first grows with its entries, since most directories are small.
func (l *listing) last() *chunk {
	n := len(l.chunks)
	if n > 0 && len(l.chunks[n-1].records) < chunkEntries {
		return l.chunks[n-1]
	}
	c := &chunk{}
	if n > 0 { // names of one directory are of about one length
		c.records = make([]record, 0, chunkEntries)
		c.names.Grow(l.chunks[n-1].names.Len())
	}
	l.chunks = append(l.chunks, c)
	return c
}

func (l *listing) at(i int) entry {
	c, i := l.chunks[i/chunkEntries], i%chunkEntries
	r, start := c.records[i], uint32(0)
	if i > 0 {
		start = c.records[i-1].nameEnd
	}
	e := entry{name: c.names.String()[start:r.nameEnd], attr: attr{ino: r.ino, mode: modeFile, size: r.size, mtime: r.mtime}}
	if r.node >= 0 {
		e.node, e.attr.mode = l.nodes[r.node].node, l.nodes[r.node].mode
	}
	return e
}

// bytes is about what the listing takes.
func (l *listing) bytes() int {
	if l == nil {
		return 0
	}
	total := len(l.nodes) * nodeBytes
	for _, c := range l.chunks {
		total += c.names.Cap() + cap(c.records)*int(unsafe.Sizeof(record{}))
	}
	return total
}

// listingState decides whether the kernel may keep and reuse a directory's entries. The kernel fills its cache while
// it reads a handle, so handles opened before a change must not fill it again after the change.
type listingState struct {
	mu         sync.Mutex
	generation uint64 // counts changes
	filled     uint64 // 1 + generation of what the kernel's cache may hold; 0: nothing
	open       int    // handles
}

// changed makes the next open drop what the kernel keeps.
func (s *listingState) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}

// opened tells, for a new handle, whether it may fill the kernel's cache, and whether what is there may stay.
func (s *listingState) opened() (fill, keep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	if s.filled == s.generation+1 {
		return true, true
	}
	if s.open > 1 {
		return false, false
	}
	s.filled = s.generation + 1
	return true, false
}

func (s *listingState) closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}
