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
