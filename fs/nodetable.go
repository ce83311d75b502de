package fs

import (
	"sync"

	"github.com/annexfs/annexfs/internal/dataset"
)

// nodeTable holds the nodes that the kernel knows, each with the kernel's count of lookups, and forgets them when the
// kernel does.
type nodeTable struct {
	mu        sync.Mutex
	nodes     map[uint64]*known
	byDataset map[dataset.ID]map[uint64]*known
}

type known struct {
	node    node
	lookups uint64
	fixed   bool // never forgotten
}

func newNodeTable(fixed ...node) *nodeTable {
	t := &nodeTable{nodes: map[uint64]*known{}, byDataset: map[dataset.ID]map[uint64]*known{}}
	for _, n := range fixed {
		t.nodes[n.ino()] = &known{node: n, fixed: true}
	}
	return t
}

// remember counts one lookup of n and returns the node the kernel already knows under that number, if there is one:
// its state outlives the lookup.
func (t *nodeTable) remember(n node) node {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.nodes[n.ino()]
	if k == nil {
		k = &known{node: n}
		t.nodes[n.ino()] = k
		if m, ok := n.(member); ok {
			set := t.byDataset[m.datasetID()]
			if set == nil {
				set = map[uint64]*known{}
				t.byDataset[m.datasetID()] = set
			}
			set[n.ino()] = k
		}
	}
	k.lookups++
	return k.node
}

func (t *nodeTable) get(ino uint64) node {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k := t.nodes[ino]; k != nil {
		return k.node
	}
	return nil
}

// forget takes back lookups, and tells whether the node is no longer known.
func (t *nodeTable) forget(ino, lookups uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.nodes[ino]
	if k == nil || k.fixed {
		return false
	}
	if k.lookups -= min(lookups, k.lookups); k.lookups > 0 {
		return false
	}
	delete(t.nodes, ino)
	if m, ok := k.node.(member); ok {
		set := t.byDataset[m.datasetID()]
		if delete(set, ino); len(set) == 0 {
			delete(t.byDataset, m.datasetID())
		}
	}
	return true
}

// members are the known nodes of one dataset.
func (t *nodeTable) members(id dataset.ID) []node {
	t.mu.Lock()
	defer t.mu.Unlock()
	nodes := make([]node, 0, len(t.byDataset[id]))
	for _, k := range t.byDataset[id] {
		nodes = append(nodes, k.node)
	}
	return nodes
}

// datasets are those of which the kernel knows a node.
func (t *nodeTable) datasets() []dataset.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	ids := make([]dataset.ID, 0, len(t.byDataset))
	for id := range t.byDataset {
		ids = append(ids, id)
	}
	return ids
}

func (t *nodeTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.nodes)
}
