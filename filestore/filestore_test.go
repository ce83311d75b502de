package filestore_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
)

const exampleKey = "SHA256E-s5--2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.txt"

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := filestore.Open(filepath.Join(dir, "none"), filestore.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of a missing directory: %v, want fs.ErrNotExist", err)
	}
	if _, err := filestore.Open(writeFile(t, "x"), filestore.Options{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Open of a file: %v, want fs.ErrInvalid", err)
	}
	if _, err := filestore.Open(dir, filestore.Options{}); err != nil {
		t.Errorf("Open: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("Open made %v, %v, want nothing", entries, err)
	}
}

func TestStore_Read(t *testing.T) {
	s, _ := newStore(t)
	key := insert(t, s, "hello")
	info, err := s.Stat(key)
	if err != nil || info.Key != key || info.Size != 5 || time.Since(info.ModTime) > time.Hour {
		t.Errorf("Stat = %+v, %v, want 5 bytes of now", info, err)
	}
	f, err := s.Open(key)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer f.Close()
	for range 2 {
		if err := s.Delete(key); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "hello" {
		t.Errorf("what was open when it was deleted = %q, %v, want %q", got, err, "hello")
	}
	if _, err := s.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.Open(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open: %v, want fs.ErrNotExist", err)
	}
	if err := s.Verify(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Verify: %v, want fs.ErrNotExist", err)
	}
}

func TestStore_Verify(t *testing.T) {
	s, _ := newStore(t)
	key := insert(t, s, "hello")
	if err := s.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify of good content: %v", err)
	}
	rewrite(t, s.Path(key), "hullo")
	if err := s.Verify(t.Context(), key); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Verify of other content: %v, want fault.ErrCorrupt", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Verify(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify with a canceled context: %v, want context.Canceled", err)
	}
	truncate(t, s.Path(key), 4)
	// The context is canceled: the size is judged without reading.
	if err := s.Verify(ctx, key); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Verify of a truncated file: %v, want fault.ErrCorrupt at once", err)
	}
	if _, err := s.Open(key); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Open of a truncated file: %v, want fault.ErrCorrupt", err)
	}
	if info, err := s.Stat(key); err != nil || info.Size != 4 {
		t.Errorf("Stat of a truncated file = %+v, %v, want what is on disk, 4 bytes", info, err)
	}
}

func TestStore_List(t *testing.T) {
	s, dir := newStore(t)
	if got := list(t, s); len(got) > 0 {
		t.Errorf("List of an empty store = %v", got)
	}
	var want []string
	for i := range 50 {
		key := insert(t, s, fmt.Sprint(i))
		want = append(want, key.HashDir()+"/"+key.String())
	}
	slices.Sort(want)
	insertForeign(t, s, dir)
	var got []string
	for _, key := range list(t, s) {
		got = append(got, key.HashDir()+"/"+key.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range s.List(ctx) {
		if n++; n == 10 {
			cancel()
		} else if n > 10 && !errors.Is(err, context.Canceled) {
			t.Errorf("List after its context ended: %v, want context.Canceled", err)
		}
	}
	if n != 11 {
		t.Errorf("List yielded %d times, want 10 keys and an error", n)
	}
	for _, err := range s.List(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break // a listing may be left
	}
}

// insertForeign puts things into the store's directory that are none of its files.
func insertForeign(t *testing.T, s *filestore.Store, dir string) {
	t.Helper()
	key := parseKey(t, exampleKey)
	hashDir := filepath.Join(dir, "091", "de9")
	for _, name := range []string{
		filepath.Join(dir, "README"), filepath.Join(dir, "tmp", exampleKey), filepath.Join(dir, "ABC", "def", "x"),
		filepath.Join(hashDir, "MD5E-s5--5d41402abc4b2a76b9719d911017c592.txt"),
		filepath.Join(hashDir, "SHA256-s5"+strings.TrimPrefix(strings.TrimSuffix(exampleKey, ".txt"), "SHA256E-s5")),
		filepath.Join(dir, "000", "000", exampleKey), filepath.Join(hashDir, ".annexfs-tmp-1"),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte("hello"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(s.Path(key), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat of a directory: %v, want fs.ErrNotExist", err)
	}
}

func TestStore_ListDir(t *testing.T) {
	s, dir := newStore(t)
	insert(t, s, "hello")
	if err := os.WriteFile(filepath.Join(dir, "091", "de9", "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string][]string{"": {"091"}, "091": {"de9"}, "091/de9": {exampleKey}} {
		got, err := s.ListDir(dir)
		if err != nil {
			t.Errorf("ListDir(%q): %v", dir, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ListDir(%q) (-want +got):\n%s", dir, diff)
		}
	}
	for _, dir := range []string{"000", "091/000", "tmp", ".", "..", "091/", "091/../091", "091/de9/x", "/091", "09", "ABC"} {
		if got, err := s.ListDir(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ListDir(%q) = %v, %v, want fs.ErrNotExist", dir, got, err)
		}
	}
}

func TestStore_RemoveLeftovers(t *testing.T) {
	s, dir := newStore(t)
	if n, err := s.RemoveLeftovers(time.Now()); n != 0 || err != nil {
		t.Errorf("RemoveLeftovers of an empty store = %d, %v, want 0", n, err)
	}
	key := insert(t, s, "hello")
	now := time.Now()
	for name, age := range map[string]time.Duration{".annexfs-tmp-old": 2 * time.Hour, ".annexfs-tmp-new": 0, "mine": 2 * time.Hour} {
		path := filepath.Join(dir, "tmp", name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now, now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.RemoveLeftovers(now.Add(-time.Hour)); n != 1 || err != nil {
		t.Errorf("RemoveLeftovers = %d, %v, want 1", n, err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil || len(entries) != 2 {
		t.Errorf("tmp has %v, %v, want the young one and what is not ours", entries, err)
	}
	if err := s.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func newStore(t *testing.T) (s *filestore.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := filestore.Open(dir, filestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func insert(t *testing.T, s *filestore.Store, content string) dataset.Key {
	t.Helper()
	key, _, err := s.Insert(t.Context(), strings.NewReader(content), "a.txt")
	if err != nil {
		t.Fatalf("Insert: %v", err)
	}
	if key.Sum != sha256.Sum256([]byte(content)) || key.Size != int64(len(content)) {
		t.Errorf("Insert = %s, want the key of %q", key, content)
	}
	return key
}

func list(t *testing.T, s *filestore.Store) (keys []dataset.Key) {
	t.Helper()
	for info, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if info.Size != info.Key.Size {
			t.Errorf("List: %+v, want the key's size", info)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

func parseKey(t *testing.T, s string) dataset.Key {
	t.Helper()
	key, err := dataset.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rewrite changes a stored file, as a failing disk would.
func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := errors.Join(os.Chmod(path, 0o600), os.Truncate(path, size)); err != nil {
		t.Fatal(err)
	}
}

func wantNoTemp(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Join(dir, "tmp")); err == nil && len(entries) > 0 {
		t.Errorf("tmp has %v, want nothing", entries)
	}
}
