package objects_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/internal/objects/objectstest"
)

// TestStore is the suite that every kind of store has to pass.
func TestStore(t *testing.T) {
	t.Run("file", func(t *testing.T) {
		suite(t, func(t *testing.T) *objects.Store { return open(t, "file://"+t.TempDir()) })
	})
	t.Run("mem", func(t *testing.T) {
		suite(t, func(t *testing.T) *objects.Store { return open(t, "mem://") })
	})
	t.Run("s3", func(t *testing.T) {
		url, _ := objectstest.S3(t)
		suite(t, func(t *testing.T) *objects.Store { return open(t, withPrefix(url, t)) })
	})
	t.Run("s3 without checksums", func(t *testing.T) {
		url, _ := objectstest.S3(t)
		url += "&request_checksum_calculation=when_required"
		suite(t, func(t *testing.T) *objects.Store { return open(t, withPrefix(url, t)) })
	})
}

func suite(t *testing.T, open func(*testing.T) *objects.Store) {
	for name, test := range map[string]func(*testing.T, *objects.Store){
		"Put":              testPut,
		"Missing":          testMissing,
		"BadKey":           testBadKey,
		"Canceled":         testCanceled,
		"Range":            testRange,
		"PutFile":          testPutFile,
		"PutFile/Move":     testMove,
		"PutFile/Large":    testPutLarge,
		"PutFile/Mismatch": testPutMismatch,
		"PutFile/NoFile":   testPutNoFile,
		"Delete":           testDelete,
		"List":             testList,
		"List/Pages":       testListPages,
		"Concurrent":       testConcurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func testPut(t *testing.T, s *objects.Store) {
	ctx := t.Context()
	if err := s.Check(ctx); err != nil {
		t.Errorf("Check: %v", err)
	}
	for _, content := range []string{"first", "", "longer than the first", strings.Repeat("\x00\xff\n", 100_000)} {
		put, err := s.Put(ctx, "a/b=c/d+e@1_x.parquet", []byte(content))
		if err != nil {
			t.Fatalf("Put of %d bytes: %v", len(content), err)
		}
		got, err := s.ReadAll(ctx, put.Key)
		if err != nil || string(got) != content {
			t.Errorf("ReadAll = %d bytes, %v, want the %d bytes that were put", len(got), err, len(content))
		}
		info, err := s.Stat(ctx, put.Key)
		if err != nil {
			t.Fatalf("Stat: %v", err)
		}
		if diff := cmp.Diff(put, info); diff != "" {
			t.Errorf("Stat tells other things than Put (-Put +Stat):\n%s", diff)
		}
		if info.Key != "a/b=c/d+e@1_x.parquet" || info.Size != int64(len(content)) || info.ModTime.IsZero() {
			t.Errorf("Stat = %+v, want the key, size %d and a time", info, len(content))
		}
		if info.ETag == "" || strings.Contains(info.ETag, `"`) {
			t.Errorf("ETag = %q, want one without quotes", info.ETag)
		}
	}
}

func testMissing(t *testing.T, s *objects.Store) {
	ctx := t.Context()
	mustPut(t, s, "dir/object", "x")
	for _, key := range []string{"none", "dir", "dir/none", "dir/object/below"} {
		if _, err := s.Stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Stat(%q): %v, want fs.ErrNotExist", key, err)
		}
		if _, err := s.ReadAll(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadAll(%q): %v, want fs.ErrNotExist", key, err)
		}
		for _, length := range []int64{-1, 0, 1} {
			if _, err := s.NewRangeReader(ctx, key, 5, length); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("NewRangeReader(%q, 5, %d): %v, want fs.ErrNotExist", key, length, err)
			}
		}
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("Delete(%q): %v, want success", key, err)
		}
	}
	if _, err := s.Stat(ctx, "dir/object"); err != nil {
		t.Errorf("the object that is there: %v", err)
	}
}

func testBadKey(t *testing.T, s *objects.Store) {
	ctx := t.Context()
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "a\nb", "a\\b", "a%20b", "ä", "a:b", "a*",
		".annexfs-tmp-1", "a/.annexfs-tmp-1/b", strings.Repeat("a", 256), strings.Repeat("abc/", 256) + "abcde",
	} {
		if _, err := s.Put(ctx, key, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Put(%q): %v, want fs.ErrInvalid", key, err)
		}
		if _, err := s.PutFile(ctx, key, "/none", objects.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("PutFile(%q): %v, want fs.ErrInvalid", key, err)
		}
		if _, err := s.Stat(ctx, key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Stat(%q): %v, want fs.ErrInvalid", key, err)
		}
		if _, err := s.NewRangeReader(ctx, key, 0, -1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("NewRangeReader(%q): %v, want fs.ErrInvalid", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Delete(%q): %v, want fs.ErrInvalid", key, err)
		}
		if path, ok := s.LocalPath(key); ok {
			t.Errorf("LocalPath(%q) = %q, want none", key, path)
		}
	}
	mustPut(t, s, strings.Repeat("abc/", 255)+"abcd", "1024 bytes are a key")
}

func testCanceled(t *testing.T, s *objects.Store) {
	mustPut(t, s, "a", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Put(ctx, "a", []byte("y"))
	wantCanceled(t, "Put", err)
	_, err = s.PutFile(ctx, "a", writeFile(t, "y"), objects.PutOptions{})
	wantCanceled(t, "PutFile", err)
	_, err = s.Stat(ctx, "a")
	wantCanceled(t, "Stat", err)
	_, err = s.ReadAll(ctx, "a")
	wantCanceled(t, "ReadAll", err)
	wantCanceled(t, "Delete", s.Delete(ctx, "a"))
	for _, err = range s.List(ctx, "", "") {
	}
	wantCanceled(t, "List", err)
	if got, err := s.ReadAll(t.Context(), "a"); string(got) != "x" || err != nil {
		t.Errorf("after all that the object is %q, %v, want %q", got, err, "x")
	}
}

func testRange(t *testing.T, s *objects.Store) {
	mustPut(t, s, "ten", "0123456789")
	mustPut(t, s, "empty", "")
	for _, c := range []struct {
		key            string
		offset, length int64
		want           string
	}{
		{"ten", 0, -1, "0123456789"}, {"ten", 0, 10, "0123456789"}, {"ten", 3, 4, "3456"}, {"ten", 3, -1, "3456789"},
		{"ten", 9, 1, "9"}, {"ten", 9, 100, "9"}, {"ten", 0, 0, ""}, {"ten", 5, 0, ""},
		{"ten", 10, -1, ""}, {"ten", 10, 1, ""}, {"ten", 11, -1, ""}, {"ten", 1000, 1, ""}, {"ten", 1000, 0, ""},
		{"empty", 0, -1, ""}, {"empty", 0, 1, ""}, {"empty", 0, 0, ""}, {"empty", 1, 1, ""},
	} {
		r, err := s.NewRangeReader(t.Context(), c.key, c.offset, c.length)
		if err != nil {
			t.Errorf("NewRangeReader(%q, %d, %d): %v", c.key, c.offset, c.length, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(got) != c.want {
			t.Errorf("NewRangeReader(%q, %d, %d) reads %q, %v, want %q", c.key, c.offset, c.length, got, err, c.want)
		}
	}
	if _, err := s.NewRangeReader(t.Context(), "ten", -1, 1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a negative offset: %v, want fs.ErrInvalid", err)
	}
}

func testPutFile(t *testing.T, s *objects.Store) {
	path := writeFile(t, "content")
	for _, sum := range [][32]byte{{}, sha256.Sum256([]byte("content"))} {
		put, err := s.PutFile(t.Context(), "x/y", path, objects.PutOptions{SHA256: sum})
		if err != nil || put.Size != 7 || put.Key != "x/y" {
			t.Errorf("PutFile = %+v, %v, want 7 bytes", put, err)
		}
		wantContent(t, s, "x/y", "content")
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the source: %v, want it where it was", err)
		}
	}
}

func testMove(t *testing.T, s *objects.Store) {
	path := writeFile(t, "content")
	o := objects.PutOptions{Move: true, SHA256: sha256.Sum256([]byte("content"))}
	put, err := s.PutFile(t.Context(), "x/y", path, o)
	if err != nil {
		t.Fatalf("PutFile: %v", err)
	}
	info, err := s.Stat(t.Context(), "x/y")
	if diff := cmp.Diff(put, info); diff != "" || err != nil {
		t.Errorf("Stat: %v; it tells other things than PutFile (-PutFile +Stat):\n%s", err, diff)
	}
	wantContent(t, s, "x/y", "content")
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the source: %v, want it gone", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(writeFile(t, "other"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutFile(t.Context(), "x/y", link, objects.PutOptions{Move: true}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("move of a symbolic link: %v, want fs.ErrInvalid", err)
	}
	wantContent(t, s, "x/y", "content")
}

// testPutLarge stores what S3 takes in several parts only.
func testPutLarge(t *testing.T, s *objects.Store) {
	content := randomBytes(17<<20 + 17)
	path := writeFile(t, string(content))
	o := objects.PutOptions{SHA256: sha256.Sum256(content)}
	put, err := s.PutFile(t.Context(), "large", path, o)
	if err != nil || put.Size != int64(len(content)) {
		t.Fatalf("PutFile = %+v, %v, want %d bytes", put, err, len(content))
	}
	got, err := s.ReadAll(t.Context(), "large")
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("ReadAll = %d bytes, %v, want the %d that were put", len(got), err, len(content))
	}
	r, err := s.NewRangeReader(t.Context(), "large", 16<<20-5, 10)
	if err != nil {
		t.Fatalf("NewRangeReader: %v", err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content[16<<20-5:][:10]) {
		t.Errorf("a range across parts = %x, %v, want %x", got, err, content[16<<20-5:][:10])
	}
}

func testPutMismatch(t *testing.T, s *objects.Store) {
	for _, size := range []int{0, 10, 17 << 20} {
		key := fmt.Sprintf("mismatch/%d", size)
		path := writeFile(t, string(randomBytes(size)))
		o := objects.PutOptions{SHA256: sha256.Sum256([]byte("something else"))}
		if _, err := s.PutFile(t.Context(), key, path, o); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("PutFile of %d bytes with another hash: %v, want fault.ErrCorrupt", size, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the source: %v, want it where it was", err)
		}
	}
	if got := keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("after refusals the store has %q, want nothing", got)
	}
}

func testPutNoFile(t *testing.T, s *objects.Store) {
	dir := t.TempDir()
	for _, o := range []objects.PutOptions{{}, {Move: true}} {
		if _, err := s.PutFile(t.Context(), "a", filepath.Join(dir, "none"), o); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("PutFile of a missing source: %v, want fs.ErrNotExist", err)
		}
		if _, err := s.PutFile(t.Context(), "a", dir, o); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("PutFile of a directory: %v, want fs.ErrInvalid", err)
		}
	}
	if got := keys(t, s, "", ""); len(got) > 0 {
		t.Errorf("after refusals the store has %q, want nothing", got)
	}
}

func testDelete(t *testing.T, s *objects.Store) {
	mustPut(t, s, "a/b", "x")
	mustPut(t, s, "a/c", "x")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if diff := cmp.Diff([]string{"a/c"}, keys(t, s, "", "")); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if err := s.Delete(t.Context(), "a/c"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if got := keys(t, s, "", "/"); len(got) > 0 {
		t.Errorf("an empty store lists %q", got)
	}
	mustPut(t, s, "a/b", "again")
	wantContent(t, s, "a/b", "again")
}

func testList(t *testing.T, s *objects.Store) {
	all := []string{"a-b", "a.b", "a/1", "a/2/3", "a/2/4", "a0", "b", "c/d/e/f"}
	for _, i := range rand.Perm(len(all)) {
		mustPut(t, s, all[i], all[i])
	}
	for _, c := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", all},
		{"", "/", []string{"a-b", "a.b", "a/", "a0", "b", "c/"}},
		{"a", "", []string{"a-b", "a.b", "a/1", "a/2/3", "a/2/4", "a0"}},
		{"a", "/", []string{"a-b", "a.b", "a/", "a0"}},
		{"a/", "", []string{"a/1", "a/2/3", "a/2/4"}},
		{"a/", "/", []string{"a/1", "a/2/"}},
		{"a/2", "/", []string{"a/2/"}},
		{"a/2/3", "", []string{"a/2/3"}},
		{"c/d", "", []string{"c/d/e/f"}},
		{"c/d/", "/", []string{"c/d/e/"}},
		{"b/", "", nil}, {"x", "", nil}, {"x/y", "/", nil}, {"a/1/", "", nil},
	} {
		if diff := cmp.Diff(c.want, keys(t, s, c.prefix, c.delimiter)); diff != "" {
			t.Errorf("List(%q, %q) (-want +got):\n%s", c.prefix, c.delimiter, diff)
		}
	}
	for info, err := range s.List(t.Context(), "", "/") {
		if err != nil || info.Dir != strings.HasSuffix(info.Key, "/") || !info.Dir && info.Size != int64(len(info.Key)) {
			t.Errorf("List yields %+v, %v", info, err)
		}
		if info.Key == "a.b" {
			break // a listing may be left
		}
	}
	for _, bad := range [][2]string{{"/", ""}, {"a//", ""}, {"../", ""}, {"", "-"}} {
		for _, err := range s.List(t.Context(), bad[0], bad[1]) {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("List(%q, %q): %v, want fs.ErrInvalid", bad[0], bad[1], err)
			}
		}
	}
}

// testListPages lists more than one answer of a server holds.
func testListPages(t *testing.T, s *objects.Store) {
	const n = 1100
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			_, err := s.Put(t.Context(), fmt.Sprintf("d/%04d", i), []byte{1})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	got := keys(t, s, "d/", "/")
	if len(got) != n || got[0] != "d/0000" || got[n-1] != fmt.Sprintf("d/%04d", n-1) {
		t.Errorf("List = %d keys, want %d", len(got), n)
	}
}

// testConcurrent has writers replace one object while readers look: they see one of the contents, whole.
func testConcurrent(t *testing.T, s *objects.Store) {
	content := func(i int) string { return strings.Repeat(string(rune('a'+i)), 10_000+i) }
	mustPut(t, s, "dir/object", content(0))
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			for range 5 {
				if _, err := s.Put(t.Context(), "dir/object", []byte(content(i))); err != nil {
					return err
				}
				got, err := s.ReadAll(t.Context(), "dir/object")
				if err != nil {
					return err
				}
				if string(got) != content(int(got[0]-'a')) {
					return fmt.Errorf("a reader got %d bytes that nobody wrote", len(got))
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}
