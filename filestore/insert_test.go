package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
)

func TestStore_Insert(t *testing.T) {
	s, dir := newStore(t)
	key, created, err := s.Insert(t.Context(), strings.NewReader("hello"), "greetings/hello.txt")
	if err != nil || key.String() != exampleKey || !created {
		t.Fatalf("Insert = %s, %v, %v, want %s, true", key, created, err, exampleKey)
	}
	path := filepath.Join(dir, "091", "de9", exampleKey)
	if s.Path(key) != path {
		t.Errorf("Path = %q, want %q", s.Path(key), path)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
		t.Errorf("the file = %q, %v, want %q", got, err, "hello")
	}
	before, err := os.Stat(path)
	if err != nil || before.Mode() != 0o444 {
		t.Errorf("mode = %v, %v, want -r--r--r--", before.Mode(), err)
	}
	if got, created, err := s.Insert(t.Context(), strings.NewReader("hello"), "other.txt"); got != key || created || err != nil {
		t.Errorf("Insert again = %s, %v, %v, want %s, false", got, created, err, key)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || after.ModTime().Before(before.ModTime()) {
		t.Errorf("Insert again made another file: %v, %v", after, err)
	}
	other, created, err := s.Insert(t.Context(), strings.NewReader("hello"), "hello.tar.gz")
	if err != nil || other.Ext != ".tar.gz" || other == key || !created {
		t.Errorf("Insert with another extension = %s, %v, %v, want another key", other, created, err)
	}
	if _, _, err := s.Insert(t.Context(), strings.NewReader(""), "empty"); err != nil {
		t.Errorf("Insert of nothing: %v", err)
	}
	wantNoTemp(t, dir)
}

func TestStore_InsertExtension(t *testing.T) {
	s, err := filestore.Open(t.TempDir(), filestore.Options{MaxExtension: 7})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := s.Insert(t.Context(), strings.NewReader("hello"), "a.parquet")
	if err != nil || key.Ext != ".parquet" {
		t.Errorf("Insert = %s, %v, want the extension .parquet", key, err)
	}
}

// TestStore_InsertRepairs holds that a file of the wrong size gives way to good content.
func TestStore_InsertRepairs(t *testing.T) {
	s, _ := newStore(t)
	key := insert(t, s, "hello")
	for name, again := range map[string]func() (bool, error){
		"Insert": func() (bool, error) {
			_, created, err := s.Insert(t.Context(), strings.NewReader("hello"), "a.txt")
			return created, err
		},
		"InsertFile": func() (bool, error) {
			_, created, err := s.InsertFile(t.Context(), writeFile(t, "hello"), &key, "", false)
			return created, err
		},
		"InsertFile by moving": func() (bool, error) {
			_, created, err := s.InsertFile(t.Context(), writeFile(t, "hello"), &key, "", true)
			return created, err
		},
	} {
		truncate(t, s.Path(key), 3)
		if created, err := again(); err != nil || !created {
			t.Errorf("%s over a truncated file = %v, %v, want true", name, created, err)
		}
		if err := s.Verify(t.Context(), key); err != nil {
			t.Errorf("Verify after %s: %v", name, err)
		}
	}
}

func TestStore_InsertFails(t *testing.T) {
	s, dir := newStore(t)
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken))
	if _, _, err := s.Insert(t.Context(), r, "a"); !errors.Is(err, broken) {
		t.Errorf("Insert from a broken reader: %v, want its error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Insert(ctx, strings.NewReader("hello"), "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert with a canceled context: %v, want context.Canceled", err)
	}
	if _, _, err := s.InsertFile(ctx, writeFile(t, "hello"), nil, "a", true); !errors.Is(err, context.Canceled) {
		t.Errorf("InsertFile with a canceled context: %v, want context.Canceled", err)
	}
	wantNoTemp(t, dir)
	if got := list(t, s); len(got) > 0 {
		t.Errorf("List = %v, want nothing", got)
	}
}

func TestStore_InsertFile(t *testing.T) {
	example := parseKey(t, exampleKey)
	for _, c := range []struct {
		name    string
		content string
		key     *dataset.Key
		move    bool
		want    error
	}{
		{"copy", "hello", nil, false, nil},
		{"copy, known key", "hello", &example, false, nil},
		{"move", "hello", nil, true, nil},
		{"move, known key", "hello", &example, true, nil},
		{"copy, key of another size", "hello!", &example, false, fault.ErrCorrupt},
		{"move, key of another size", "hello!", &example, true, fault.ErrCorrupt},
		{"copy, key of another content", "hullo", &example, false, fault.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, dir := newStore(t)
			for i := range 2 {
				path := writeFile(t, c.content)
				key, created, err := s.InsertFile(t.Context(), path, c.key, "x.txt", c.move)
				if !errors.Is(err, c.want) {
					t.Fatalf("InsertFile: %v, want %v", err, c.want)
				}
				_, statErr := os.Lstat(path)
				if gone := errors.Is(statErr, fs.ErrNotExist); gone != (c.move && err == nil) {
					t.Errorf("the source is gone: %v", gone)
				}
				if err != nil {
					continue
				}
				if key != example || created != (i == 0) {
					t.Errorf("InsertFile = %s, %v, want %s, %v", key, created, example, i == 0)
				}
				if err := s.Verify(t.Context(), key); err != nil {
					t.Errorf("Verify: %v", err)
				}
			}
			wantNoTemp(t, dir)
			if got := list(t, s); (len(got) == 1) != (c.want == nil) {
				t.Errorf("List = %v", got)
			}
		})
	}
}

// TestStore_InsertFileLinked holds that a file which can be changed by another name is not taken, but copied.
func TestStore_InsertFileLinked(t *testing.T) {
	s, _ := newStore(t)
	path := writeFile(t, "hello")
	if err := errors.Join(os.Link(path, path+"2"), os.Symlink(path, path+"3")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.InsertFile(t.Context(), path+"3", nil, "", true); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("InsertFile moving a symbolic link: %v, want fs.ErrInvalid", err)
	}
	key, _, err := s.InsertFile(t.Context(), path, nil, "", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"2", []byte("HELLO"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), key); err != nil {
		t.Errorf("Verify after the other name was written to: %v", err)
	}
}

func TestStore_InsertConcurrent(t *testing.T) {
	s, dir := newStore(t)
	const workers, files = 16, 20
	created := make([][files]bool, workers)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			for i := range files {
				content := fmt.Sprint("content ", i)
				key, isNew, err := s.Insert(t.Context(), strings.NewReader(content), "a.txt")
				if err != nil {
					return err
				}
				created[w][i] = isNew
				if err := s.Verify(t.Context(), key); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		n := 0
		for w := range workers {
			if created[w][i] {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d workers were told that content %d is new, want 1", n, i)
		}
	}
	if got := list(t, s); len(got) != files {
		t.Errorf("List = %d keys, want %d", len(got), files)
	}
	wantNoTemp(t, dir)
}
