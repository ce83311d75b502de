package staging_test

import (
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"testing"
)

func (s *shelf) NotifyReturned(fn func(path string, why error)) { s.returned = fn }

// TestReturned has a file that was answered early come back, with its ghost still there: it is staged again, and told why.
func TestReturned(t *testing.T) {
	s := mount(t)
	s.mkdir("images/oslo")
	s.mustWrite("images/oslo/a.txt", []byte("ours"))
	s.wantStaged("images/oslo")
	staged := filepath.Join(s.dir, "tree/acme/sales/images/oslo/a.txt")
	if err := os.WriteFile(staged, []byte("ours"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.shelf.returned(staged, fmt.Errorf("oslo/a.txt: %w", iofs.ErrExist))
	s.wantReport("images/oslo/a.txt", "under another name")
	s.wantStaged("images/oslo", "a.txt", "a.txt.error")
	s.restart()
	s.shelf.returned(staged, iofs.ErrExist)
	s.wantStaged("images/oslo", "a.txt", "a.txt.error")
}

// TestBatch_Memory holds that nothing of what a file holds stays in memory while it waits for its batch.
func TestBatch_Memory(t *testing.T) {
	s := mount(t)
	s.mkdir("images/append/b")
	f := s.open("images/append/b/a.txt", create)
	mustWriteTo(t, f, []byte("content"))
	if got := s.tree.Kept(); got == 0 {
		t.Error("nothing is kept of a file that is being written, which is what this test looks at")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the content is given up", func() bool { return s.tree.Kept() == 0 })
}
