package durable_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/durable"
)

func TestTree_Commit(t *testing.T) {
	tree := durable.New(t.TempDir())
	f := create(t, tree, "a/b", "content")
	if !durable.IsTemp(filepath.Base(f.Name())) || filepath.Dir(f.Name()) != tree.Path("a/b") {
		t.Errorf("the unfinished file is %q, want a name that IsTemp knows in %q", f.Name(), tree.Path("a/b"))
	}
	if err := f.Commit("c/d/e", false); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	f.Discard()
	wantFile(t, tree.Path("c/d/e"), "content")
	if info, err := os.Stat(tree.Path("c/d/e")); err != nil || info.Mode() != durable.Mode {
		t.Errorf("mode = %v, %v, want %v", info.Mode(), err, durable.Mode)
	}
	wantEmpty(t, tree.Path("a/b"))
	if durable.IsTemp("e") || durable.IsTemp("") {
		t.Error("IsTemp of a finished name, want false")
	}
}

func TestTree_CommitExclusive(t *testing.T) {
	tree := durable.New(t.TempDir())
	var g errgroup.Group
	results := make(chan error, 8)
	for range cap(results) {
		g.Go(func() error {
			f, err := tree.Create("tmp")
			if err != nil {
				return err
			}
			defer f.Discard()
			results <- f.Commit("x/y", true)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	close(results)
	won := 0
	for err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, fs.ErrExist):
			t.Errorf("Commit where a file is: %v, want fs.ErrExist", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of the commits won, want 1", won)
	}
	wantEmpty(t, tree.Path("tmp"))
	f := create(t, tree, "tmp", "other")
	defer f.Discard()
	if err := f.Commit("x/y", true); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit where a file is: %v, want fs.ErrExist", err)
	}
	if err := f.Commit("x/y", false); err != nil {
		t.Errorf("Commit after that, replacing: %v", err)
	}
	wantFile(t, tree.Path("x/y"), "other")
}

func TestFile_Discard(t *testing.T) {
	tree := durable.New(t.TempDir())
	f := create(t, tree, "a", "content")
	f.Discard()
	f.Discard()
	wantEmpty(t, tree.Path("a"))
}

// TestTree_DirectoryGone holds that a directory that this process made and another one removed is made again.
func TestTree_DirectoryGone(t *testing.T) {
	tree := durable.New(t.TempDir())
	for range 2 {
		f := create(t, tree, "a/b", "content")
		if err := os.RemoveAll(tree.Path("c")); err != nil {
			t.Fatal(err)
		}
		if err := f.Commit("c/d/e", false); err != nil {
			t.Errorf("Commit: %v", err)
		}
		if err := os.RemoveAll(tree.Path("a")); err != nil {
			t.Fatal(err)
		}
	}
	wantFile(t, tree.Path("c/d/e"), "content")
}

func TestTree_Rename(t *testing.T) {
	tree := durable.New(t.TempDir())
	path := filepath.Join(t.TempDir(), "source")
	writeFile(t, path, "content")
	src, _, err := durable.OpenRegular(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename(src, path, "a/b", false); !errors.Is(err, durable.ErrCopy) {
		t.Errorf("Rename of a file with two names: %v, want ErrCopy", err)
	}
	if err := os.Remove(path + "2"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Rename(src, path, "a/b", true); err != nil {
		t.Errorf("Rename: %v", err)
	}
	wantFile(t, tree.Path("a/b"), "content")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the source: %v, want it gone", err)
	}
	writeFile(t, path, "other")
	other, _, err := durable.OpenRegular(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := tree.Rename(other, path, "a/b", true); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Rename to a name that is there: %v, want fs.ErrExist", err)
	}
	wantFile(t, path, "other")
}

// TestTree_RenameOwner holds that a file which another user owns does not stay his.
func TestTree_RenameOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: only root can make files of other users")
	}
	tree := durable.New(t.TempDir())
	path := filepath.Join(t.TempDir(), "source")
	writeFile(t, path, "content")
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	src, _, err := durable.OpenRegular(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := tree.Rename(src, path, "a", false); err != nil {
		t.Fatalf("Rename: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(tree.Path("a"), &st); err != nil || st.Uid != 0 {
		t.Errorf("owner = %d, %v, want 0", st.Uid, err)
	}
}

func TestTree_Remove(t *testing.T) {
	tree := durable.New(t.TempDir())
	if err := create(t, tree, "", "content").Commit("a", false); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a", "none/a"} {
		if err := tree.Remove(name); err != nil {
			t.Errorf("Remove(%q): %v", name, err)
		}
	}
	wantEmpty(t, tree.Root())
}

func TestFile_CopyFrom(t *testing.T) {
	content := strings.Repeat("0123456789", 100_000)
	path := filepath.Join(t.TempDir(), "source")
	writeFile(t, path, content)
	tree := durable.New(t.TempDir())
	for name, r := range map[string]io.Reader{
		"a file": openFile(t, path), "a reader": strings.NewReader(content),
		"small reads":   iotest.HalfReader(strings.NewReader(content)),
		"data with EOF": iotest.DataErrReader(strings.NewReader(content)),
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t, tree, "", "")
			defer f.Discard()
			if n, err := f.CopyFrom(t.Context(), r, nil); err != nil || n != int64(len(content)) {
				t.Errorf("CopyFrom = %d, %v, want %d", n, err, len(content))
			}
			wantFile(t, f.Name(), content)
		})
	}
	t.Run("hash", func(t *testing.T) {
		f := create(t, tree, "", "")
		defer f.Discard()
		h := sha256.New()
		if _, err := f.CopyFrom(t.Context(), openFile(t, path), h); err != nil {
			t.Errorf("CopyFrom: %v", err)
		}
		if want := sha256.Sum256([]byte(content)); !bytes.Equal(h.Sum(nil), want[:]) {
			t.Errorf("hash = %x, want %x", h.Sum(nil), want)
		}
		wantFile(t, f.Name(), content)
	})
	t.Run("errors", func(t *testing.T) {
		f := create(t, tree, "", "")
		defer f.Discard()
		broken := errors.New("broken")
		if _, err := f.CopyFrom(t.Context(), iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
			t.Errorf("CopyFrom of a broken reader: %v, want its error", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, r := range []io.Reader{openFile(t, path), strings.NewReader(content)} {
			if _, err := f.CopyFrom(ctx, r, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("CopyFrom with a canceled context: %v, want context.Canceled", err)
			}
		}
	})
}

func TestOpenRegular(t *testing.T) {
	dir := t.TempDir()
	file, link, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	writeFile(t, file, "content")
	if err := errors.Join(os.Symlink("file", link), unix.Mkfifo(fifo, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path     string
		nofollow bool
		want     error
	}{
		{file, false, nil}, {file, true, nil}, {link, false, nil}, {link, true, fs.ErrInvalid},
		{fifo, true, fs.ErrInvalid}, {dir, true, fs.ErrInvalid}, {"/dev/null", false, fs.ErrInvalid},
		{filepath.Join(dir, "none"), false, fs.ErrNotExist},
	} {
		f, info, err := durable.OpenRegular(c.path, c.nofollow)
		if !errors.Is(err, c.want) {
			t.Errorf("OpenRegular(%q, %v): %v, want %v", c.path, c.nofollow, err, c.want)
		}
		if err != nil {
			continue
		}
		if info.Size() != 7 {
			t.Errorf("OpenRegular(%q) tells %d bytes, want 7", c.path, info.Size())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func create(t *testing.T, tree *durable.Tree, dir, content string) *durable.File {
	t.Helper()
	f, err := tree.Create(dir)
	if err != nil {
		t.Fatalf("Create(%q): %v", dir, err)
	}
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	return f
}

func openFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %d bytes, %v, want the %d that were written", path, len(got), err, len(want))
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%s has %v, %v, want nothing", dir, entries, err)
	}
}
