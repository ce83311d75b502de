package fs

import (
	"context"
	"sync"
)

// listing is a directory's entries at one moment, packed: a table of a million files takes about 70 MB while it is
// being read, and nothing after.
type listing struct {
	names   []byte
	records []record
	nodes   []node
}

type record struct {
	attr
	nameEnd uint32
	node    int32 // index in nodes, or -1
}

// readListing runs d's query once.
func readListing(ctx context.Context, d directory) (*listing, error) {
	l := &listing{}
	err := d.list(ctx, func(e entry) {
		l.names = append(l.names, e.name...)
		r := record{attr: e.attr, nameEnd: uint32(len(l.names)), node: -1}
		if e.node != nil {
			r.node = int32(len(l.nodes))
			l.nodes = append(l.nodes, e.node)
		}
		l.records = append(l.records, r)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (l *listing) at(i int) entry {
	r := l.records[i]
	start := uint32(0)
	if i > 0 {
		start = l.records[i-1].nameEnd
	}
	e := entry{name: string(l.names[start:r.nameEnd]), attr: r.attr}
	if r.node >= 0 {
		e.node = l.nodes[r.node]
	}
	return e
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
