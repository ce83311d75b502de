package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sync/errgroup"
)

func TestBulk(t *testing.T) {
	s, dir := newStore(t)
	there, _, err := s.Insert(t.Context(), strings.NewReader("there"), "there.txt")
	if err != nil {
		t.Fatal(err)
	}
	const files, contents = 4500, 4000 // more than are stored at once
	b := s.Bulk()
	var g errgroup.Group
	g.SetLimit(8)
	for n := range files {
		g.Go(func() error {
			_, err := b.Insert(t.Context(), strings.NewReader(fmt.Sprint(n%contents)), "file.txt")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	last, err := b.Insert(t.Context(), strings.NewReader("last"), "last.txt")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Insert(t.Context(), strings.NewReader("there"), "other.txt"); err != nil || again != there {
		t.Errorf("Insert of what is there: got %v, %v, want %v", again, err, there)
	}
	if _, err := s.Stat(last); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat before Commit: got %v, want fs.ErrNotExist", err)
	}
	if err := b.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for key, err := range s.List(t.Context()) {
		if err == nil {
			err = s.Verify(t.Context(), key.Key)
		}
		if err != nil {
			t.Fatal(err)
		}
		stored++
	}
	if want := contents + 2; stored != want {
		t.Errorf("stored: got %d files, want %d", stored, want)
	}
	wantNoTemp(t, dir)
}

func TestBulk_Fails(t *testing.T) {
	s, dir := newStore(t)
	b := s.Bulk()
	key, err := b.Insert(t.Context(), strings.NewReader("dropped"), "a")
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if _, err := b.Insert(t.Context(), iotest.ErrReader(broken), "b"); !errors.Is(err, broken) {
		t.Errorf("Insert: got %v, want %v", err, broken)
	}
	if err := b.Discard(); err != nil {
		t.Errorf("Discard: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Insert(ctx, strings.NewReader("interrupted"), "c"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := b.Commit(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit: got %v, want context.Canceled", err)
	}
	if _, err := s.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat after Discard: got %v, want fs.ErrNotExist", err)
	}
	wantNoTemp(t, dir)
}
