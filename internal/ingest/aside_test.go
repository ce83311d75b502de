package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/ingest"
)

// TestPublish_EarlyStored holds that a file which was answered can be read while it is on its way into the store, and that
// its commit waits for that.
func TestPublish_EarlyStored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		f.TrustStore()
		answered := make(chan struct{})
		f.FailAt(func(step string) error {
			if step == "store" {
				<-answered
			}
			return nil
		})
		b := early(f.stage(t, "a", []byte("content")))
		p := f.publish(t, photos, b)
		if got := f.active(t, photos); slices.Contains(got, "a") {
			t.Errorf("active before it is stored: got %v", got)
		}
		if _, err := os.Lstat(b.Files[0].Path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the staged name: got %v, want none", err)
		}
		close(answered)
		c, err := f.Open(t.Context(), p[0])
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := io.ReadAll(io.NewSectionReader(c, 0, 100)); err != nil || string(got) != "content" {
			t.Errorf("Open: got %q, %v", got, err)
		}
		f.settle(t)
		if diff := cmp.Diff([]string{"a", "first"}, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		f.wantNothingLeft(t)
	})
}

// TestPublish_EarlyUnstored has the store refuse a file after its answer: it is staged again as it was, and told why, and the
// others of its transaction are published.
func TestPublish_EarlyUnstored(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		f.TrustStore()
		broken, stores := errors.New("the disk is on fire"), 0
		f.FailAt(func(step string) error {
			if step != "store" {
				return nil
			}
			if stores++; stores == 2 {
				return broken
			}
			return nil
		})
		var told []string
		f.NotifyReturned(func(path string, why error) {
			if !errors.Is(why, broken) {
				t.Errorf("why: got %v, want what the store said", why)
			}
			told = append(told, path)
		})
		bad := early(f.stage(t, "bad/b", []byte("b")))
		before := staged(t, bad)
		for _, b := range []ingest.Batch{early(f.stage(t, "good/a", []byte("a"))), bad, early(f.stage(t, "good/c", []byte("c")))} {
			f.publish(t, photos, b)
		}
		f.settle(t)
		if !slices.Equal(told, []string{bad.Files[0].Path}) {
			t.Errorf("told of %v, want what is staged again", told)
		}
		if diff := cmp.Diff(before, staged(t, bad)); diff != "" {
			t.Errorf("what is staged again (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"first", "good/a", "good/c"}, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		f.publish(t, photos, bad)
		f.settle(t)
		if diff := cmp.Diff([]string{"bad/b", "first", "good/a", "good/c"}, f.active(t, photos)); diff != "" {
			t.Errorf("active after the next attempt (-want +got):\n%s", diff)
		}
		f.wantContents(t)
		f.wantNothingLeft(t)
	})
}

// TestPublish_EarlyUnstoredNext has a store that goes on refusing: only those are acknowledged that came before it was known.
func TestPublish_EarlyUnstoredNext(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		f.TrustStore()
		broken := errors.New("the disk is on fire")
		fail, aside, want := true, 0, []string{"a", "first"}
		f.FailAt(func(step string) error {
			switch {
			case step == "aside":
				aside++
			case step == "store" && fail:
				return broken
			}
			return nil
		})
		first := early(f.stage(t, "a", []byte("a")))
		f.publish(t, photos, first)
		f.settle(t)
		f.refuse(t, photos, early(f.stage(t, "b", []byte("b"))), broken)
		fail = false
		f.publish(t, photos, first)
		for n := range 20 { // one soon after another
			name := fmt.Sprint("c", n)
			f.publish(t, photos, early(f.stage(t, name, []byte(name))))
			want = append(want, name)
		}
		f.settle(t)
		if aside < 2 {
			t.Errorf("%d files were set aside, want the first, and some when the store takes files again", aside)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
	})
}

// TestPublish_EarlyUnstoredTaken has the store refuse a file after its answer, whose staged name is taken by then: the next
// start publishes it.
func TestPublish_EarlyUnstoredTaken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		f.TrustStore()
		b := early(f.stage(t, "a", []byte("content")))
		f.FailAt(func(step string) error {
			if step != "store" {
				return nil
			}
			f.stage(t, "a", []byte("the next one"))
			return errors.New("the disk is on fire")
		})
		f.NotifyReturned(func(string, error) { t.Error("something is said to be staged again, which is not") })
		f.publish(t, photos, b)
		f.settle(t)
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		g := f.again(t)
		if err := g.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"a", "first"}, g.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		if got, err := os.ReadFile(b.Files[0].Path); err != nil || string(got) != "the next one" {
			t.Errorf("staged: got %q, %v, want what was put there since", got, err)
		}
		g.wantContents(t)
		if left, err := filepath.Glob(filepath.Join(f.Staging, "journal", "aside-*")); err != nil || len(left) > 0 {
			t.Errorf("files set aside are left: %v, %v", left, err)
		}
	})
}
