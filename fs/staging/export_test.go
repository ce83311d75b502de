package staging

import "strings"

// What tests look at.

func creationFor(mkstemp bool) creation {
	if mkstemp {
		return byMkstemp
	}
	return plainly
}

func WaitsInFiles(name string, mkstemp bool) bool {
	return waitsInFiles(strings.Split(name, "/"), creationFor(mkstemp))
}

func WaitsInParquet(name string, mkstemp bool) bool {
	return waitsInParquet(strings.Split(name, "/"), creationFor(mkstemp))
}

// Kept is how many bytes of staged files are in memory.
func (t *Tree) Kept() (n int) {
	for _, child := range t.nodes.files(t.nodes.root) {
		child.file.content.Lock()
		if r := child.file.sum; r != nil {
			r.mu.Lock()
			n += len(r.kept)
			r.mu.Unlock()
		}
		child.file.content.Unlock()
	}
	return n
}

var KilledIn = killedIn
