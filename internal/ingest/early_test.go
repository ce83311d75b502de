package ingest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

const photos = "acme/crm/photos"

// early is a file that is answered before it is committed.
func early(f ingest.File) ingest.Batch {
	b := one(f)
	b.Early = true
	return b
}

// begun returns a fixture whose table of photos has a revision, with what is in it.
func (f *fixture) begun(t *testing.T) []string {
	t.Helper()
	f.publish(t, photos, one(f.stage(t, "first", []byte("first"))))
	return f.active(t, photos)
}

// settle waits for what was answered early.
func (f *fixture) settle(t *testing.T) {
	t.Helper()
	if err := f.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// head is the number of the last transaction that told of changes.
func (f *fixture) head(t *testing.T) int64 {
	t.Helper()
	db, err := metadb.Open(t.Context(), f.url, metadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// TestPublish_Early holds that files which come soon after one another share transactions, that all are there in the end
// with what they need, and that each is judged at once, by those that are not committed yet too.
func TestPublish_Early(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		want := f.begun(t)
		tab, before := f.tableOf(t, photos), f.head(t)
		const writers, files = 8, 20
		var all []ingest.Batch
		for n := range writers * files {
			name := fmt.Sprintf("2026/city%d/%d.txt", n%writers, n)
			all, want = append(all, early(f.stage(t, name, []byte(name)))), append(want, name)
		}
		var g errgroup.Group
		for w := range writers {
			g.Go(func() error {
				for n := w; n < len(all); n += writers {
					if p, err := f.Publish(t.Context(), tab, all[n]); err != nil || p[0].ID == 0 {
						return fmt.Errorf("%s: %v, %w", all[n].Files[0].Name, p, err)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		f.settle(t)
		slices.Sort(want)
		if diff := cmp.Diff(want, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		if got := f.head(t) - before; got >= writers*files/2 {
			t.Errorf("%d files took %d transactions", writers*files, got)
		}
		f.wantContents(t)
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
		f.wantNothingLeft(t)
	})
}

func TestPublish_EarlyRefused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		p := f.publish(t, photos, early(f.stage(t, "dir/a", []byte("a"))))
		f.refuse(t, photos, early(f.stage(t, "dir/a", []byte("another a"))), fs.ErrExist)
		f.refuse(t, photos, early(f.stage(t, "first/b", []byte("first is a file"))), fs.ErrExist)
		under := f.stage(t, "x/under", []byte("a directory is there"))
		under.Name = "dir"
		f.refuse(t, photos, early(under), fs.ErrExist)
		again := f.publish(t, photos, early(f.stage(t, "dir/a", []byte("a"))))
		if again[0] != p[0] {
			t.Errorf("the same file again: got %v, want %v", again, p)
		}
		f.settle(t)
		if diff := cmp.Diff([]string{"dir/a", "first"}, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
	})
}

// TestPublish_EarlySeen holds that other processes can see what was answered, though its transaction takes long.
func TestPublish_EarlySeen(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		f.FailAt(func(step string) error {
			if step == "group" {
				time.Sleep(50 * time.Millisecond)
			}
			return nil
		})
		other := f.again(t)
		db, err := metadb.Open(t.Context(), f.url, metadb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for n := range 3 {
			name := fmt.Sprint("early", n)
			f.publish(t, photos, early(f.stage(t, name, []byte(name))))
			if err := db.Await(t.Context(), time.Minute); err != nil {
				t.Fatal(err)
			}
			if got := other.active(t, photos); !slices.Contains(got, name) {
				t.Errorf("active: got %v, want %s in it", got, name)
			}
		}
	})
}

// TestPublish_EarlyDev has another manifest linked while files are being taken for the one of dev: that waits, so that no
// file lands in a table that is no longer the one of dev.
func TestPublish_EarlyDev(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		m, err := manifest.Parse([]byte(strings.Replace(manifestJSON, `"place"`, `"town"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		g := f.again(t)
		h, err := g.Options.Registry.Register(t.Context(), "dataset", m.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		rev, _ := f.revision(t, photos)
		var linking errgroup.Group
		f.FailAt(func(step string) error {
			if step != "group" {
				return nil
			}
			linked := make(chan struct{})
			linking.Go(func() error {
				err := g.Options.Registry.Link(t.Context(), dataset.ID{Namespace: "acme", Name: "crm"}, h)
				close(linked)
				if _, missing := g.Options.Data.LookupIn(t.Context(), rev.ID, "early"); missing != nil {
					t.Errorf("when the manifest was linked the file was not there: %v", missing)
				}
				return err
			})
			select {
			case <-linked:
				t.Error("another manifest was linked meanwhile")
			case <-time.After(100 * time.Millisecond):
			}
			return nil
		})
		f.publish(t, photos, early(f.stage(t, "early", []byte("early"))))
		f.settle(t)
		if err := linking.Wait(); err != nil {
			t.Error(err)
		}
		f.publish(t, photos, early(f.stage(t, "late", []byte("late"))))
		f.settle(t)
		if diff := cmp.Diff([]string{"late"}, f.active(t, photos)); diff != "" {
			t.Errorf("active in the table of the new manifest (-want +got):\n%s", diff)
		}
	})
}

// TestPublish_EarlyStoreFails has the store refuse one of two files of a transaction, and one that two have, where files are
// stored before they are answered.
func TestPublish_EarlyStoreFails(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		broken := errors.New("the disk is on fire")
		var fail atomic.Bool
		f.FailAt(func(step string) error {
			if step == "aside" || step == "store" && fail.Load() {
				return broken
			}
			return nil
		})
		f.publish(t, photos, early(f.stage(t, "good/a", []byte("a"))))
		fail.Store(true)
		f.refuse(t, photos, early(f.stage(t, "bad/b", []byte("b"))), broken)
		fail.Store(false)
		p := f.publish(t, photos, early(f.stage(t, "good/c", []byte("c"))))
		fail.Store(true)
		f.refuse(t, photos, early(f.stage(t, "good/c", []byte("c"))), broken)
		fail.Store(false)
		f.settle(t)
		if diff := cmp.Diff([]string{"first", "good/a", "good/c"}, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		if row, err := f.Options.Data.File(t.Context(), p[0].ID); err != nil || row.Path != "good/c" {
			t.Errorf("the row of what is there: got %v, %v", row.Path, err)
		}
		rev, _ := f.revision(t, photos)
		if _, err := f.Options.Data.LookupIn(t.Context(), rev.ID, "bad"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory of what was taken back: got %v, want none", err)
		}
	})
}

// TestPublish_EarlyRedone has the transaction fail after its files were answered: they are registered all the same, and
// who was told of a row can replace and rename it.
func TestPublish_EarlyRedone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		other, theirs, failed := f.again(t), f.write(t, "theirs", []byte("theirs")), 0
		f.FailAt(func(step string) error {
			switch {
			case step == "group" && failed == 0:
				failed++
				return errors.New("the database is away")
			case step == "redo" && failed == 1:
				failed++
				other.add(t, photos, ingest.AddOptions{}, theirs) // so that the numbers of the rows are others
			}
			return nil
		})
		a := f.publish(t, photos, early(f.stage(t, "2026/a", []byte("a"))))
		b := f.publish(t, photos, early(f.stage(t, "2026/b", []byte("b"))))
		next := f.stage(t, "next/a", []byte("a, corrected"))
		next.Name, next.Replaces = "2026/a", a[0]
		f.publish(t, photos, early(next))
		if _, err := f.Rename(t.Context(), f.tableOf(t, photos), []ingest.Move{{Published: b[0], Name: "2026/c"}}); err != nil {
			t.Errorf("Rename: %v", err)
		}
		if failed != 2 {
			t.Error("no transaction failed")
		}
		if diff := cmp.Diff([]string{"2026/a", "2026/c", "first", "theirs"}, f.active(t, photos)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		f.wantContents(t)
	})
}

// TestPublish_EarlyTaken has somebody else take the place of a file that was answered, while the database has lost it: the
// file is staged again.
func TestPublish_EarlyTaken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.begun(t)
		other, theirs := f.again(t), f.write(t, "a", []byte("theirs"))
		f.FailAt(func(step string) error {
			switch step {
			case "group":
				return errors.New("the database is away")
			case "redo":
				other.add(t, photos, ingest.AddOptions{}, theirs)
			}
			return nil
		})
		var told []string
		f.NotifyReturned(func(path string, why error) {
			if !errors.Is(why, fs.ErrExist) {
				t.Errorf("why: got %v, want fs.ErrExist", why)
			}
			told = append(told, path)
		})
		b := early(f.stage(t, "a", []byte("ours")))
		f.publish(t, photos, b)
		f.settle(t)
		if !slices.Equal(told, []string{b.Files[0].Path}) {
			t.Errorf("told of %v, want what is staged again", told)
		}
		if got, err := os.ReadFile(b.Files[0].Path); err != nil || string(got) != "ours" {
			t.Errorf("staged: got %q, %v, want what was answered", got, err)
		}
	})
}

// TestPublish_EarlyKilled kills a process before the commit of what it may have answered: Recover registers it.
func TestPublish_EarlyKilled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		want := f.begun(t)
		for n, step := range []string{"aside", "store", "stored", "group"} {
			name := fmt.Sprintf("2026/oslo/%d", n)
			v := f.victim(photos, step, early(f.stage(t, name, []byte(step))))
			f.die(t, v)
			g := f.again(t)
			if err := g.Recover(t.Context()); err != nil {
				t.Fatalf("Recover: %v", err)
			}
			want = append([]string{name}, want...)
			slices.Sort(want)
			if diff := cmp.Diff(want, g.active(t, photos)); diff != "" {
				t.Errorf("%s: active (-want +got):\n%s", step, diff)
			}
			rev, _ := g.revision(t, photos)
			e, err := g.Options.Data.LookupIn(t.Context(), rev.ID, name)
			if err != nil {
				t.Fatal(err)
			}
			if row, err := g.Options.Data.File(t.Context(), e.ID); err != nil || row.Statistics.Keys["place"] != "oslo" {
				t.Errorf("%s: key columns: got %v, %v", step, row.Statistics.Keys, err)
			}
			if err := g.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		f.wantContents(t)
		f.wantNothingLeft(t)
	})
}

// TestPublish_EarlyAway loses the database for good after the answer: what was answered is registered at the next start.
func TestPublish_EarlyAway(t *testing.T) {
	way, through := newLossy(t, metadbtest.Postgres(t))
	f := newFixture(t, through, "file://"+t.TempDir())
	f.begun(t)
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"before", "after"} { // the commit
		t.Run(answer, func(t *testing.T) {
			victim := f.again(t)
			tab := victim.tableOf(t, photos)
			victim.FailAt(func(step string) error {
				switch {
				case step == "group" && answer == "before":
					way.leave()
				case step == "group":
					way.set(true, true)
				}
				return nil
			})
			b := early(victim.stage(t, answer, []byte(answer)))
			if _, err := victim.Publish(t.Context(), tab, b); err != nil {
				t.Fatal(err)
			}
			if err := victim.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if !way.wasCut() {
				t.Fatal("the database was there all the time")
			}
			way.set(false, false)
			g := f.again(t)
			if err := g.Recover(t.Context()); err != nil {
				t.Fatalf("Recover: %v", err)
			}
			if got := g.active(t, photos); !slices.Contains(got, answer) {
				t.Errorf("active: got %v, want %s in it", got, answer)
			}
			if err := g.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	f.wantContents(t)
}
