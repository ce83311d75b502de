package staging_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestWrite_Large(t *testing.T) {
	s := mount(t)
	data := make([]byte, 20<<20+13)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(data) // never fails
	for name, rewrite := range map[string]int64{"in order": -1, "rewritten": 3 << 20, "begun again": 0} {
		f := s.open("images/"+name, create)
		for off := 0; off < len(data); off += 128 << 10 {
			mustWriteTo(t, f, data[off:min(off+128<<10, len(data))])
		}
		want := bytes.Clone(data)
		if rewrite >= 0 {
			if _, err := f.WriteAt([]byte("rewritten"), rewrite); err != nil {
				t.Fatal(err)
			}
			copy(want[rewrite:], "rewritten")
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.shelf.content(images, name); !bytes.Equal(got, want) {
			t.Errorf("%s: the table holds %d bytes, not those written", name, len(got))
		}
	}
}

// TestConcurrent has many writers in one directory, with directories that move above them.
func TestConcurrent(t *testing.T) {
	const writers, files = 16, 40
	s := mount(t)
	var g errgroup.Group
	for w := range writers {
		g.Go(func() error {
			dir := s.path(fmt.Sprintf("images/w%d", w))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			for i := range files {
				name := filepath.Join(dir, fmt.Sprintf("f%d", i))
				if i%3 == 0 {
					name += "~"
				}
				if err := os.WriteFile(name, fmt.Appendf(nil, "%d %d", w, i), 0o644); err != nil {
					return err
				}
				if i%3 == 0 {
					if err := os.Rename(name, name[:len(name)-1]); err != nil {
						return err
					}
				}
				if _, err := os.ReadDir(s.path("images")); err != nil {
					return err
				}
			}
			return os.Rename(dir, s.path(fmt.Sprintf("images/moved%d", w)))
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := len(s.shelf.names(images)); got != writers*files {
		t.Errorf("the table holds %d files, want %d", got, writers*files)
	}
	for w := range writers {
		for i := range files {
			want := fmt.Sprintf("%d %d", w, i)
			if got := s.shelf.content(images, fmt.Sprintf("moved%d/f%d", w, i)); string(got) != want {
				t.Errorf("file %d of writer %d holds %q", i, w, got)
			}
		}
	}
}

// TestFSX has the file system exerciser work on a file that waits, so that it is written in every order.
func TestFSX(t *testing.T) {
	fsx := filepath.Join(tools(t), "bin", "fsx")
	if _, err := os.Stat(fsx); err != nil {
		t.Skip("NOT RUN HERE: fsx is not installed; test/setup does it")
	}
	s := mount(t)
	config := filepath.Join(t.TempDir(), "fsx.toml")
	if err := os.WriteFile(config, []byte("[weights]\nfallocate = 0\npunch_hole = 0\nclose_open = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"orders/waits", "images/published"} {
		out, err := exec.CommandContext(t.Context(), fsx, "-N", "3000", "-S", "7", "-f", config, s.path(name)).CombinedOutput()
		if err != nil {
			t.Errorf("fsx on %s: %v: %s", name, err, out)
		}
	}
}
