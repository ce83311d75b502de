package registry_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

var sorted = cmpopts.SortSlices(func(a, b string) bool { return a < b })

// objects lists the keys in the object store.
func (e env) objects(t *testing.T) []string {
	t.Helper()
	var keys []string
	for info, err := range e.store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// rows lists the paths of the registered manifests.
func (e env) rows(t *testing.T) []string {
	t.Helper()
	all, err := e.Manifests(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, m := range all {
		paths = append(paths, m.Path)
	}
	return paths
}

// wantStored checks that rows and objects are exactly those of these manifests, and that each can be read.
func (e env) wantStored(t *testing.T, hashes ...dataset.Hash) {
	t.Helper()
	if diff := cmp.Diff(e.objects(t), e.rows(t), sorted); diff != "" {
		t.Errorf("objects (-) and rows (+) differ:\n%s", diff)
	}
	if got := len(e.rows(t)); got != len(hashes) {
		t.Errorf("got %d manifests, want %d", got, len(hashes))
	}
	for _, h := range hashes {
		if _, err := e.Manifest(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
}

func TestRegistry_Register(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.register(t, 1)
		if want := dataset.HashOf(content(1)); h != want {
			t.Errorf("got the hash %s, want %s", h, want)
		}
		got, err := e.Manifest(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(content(1)), string(got)); diff != "" {
			t.Errorf("content (-want +got):\n%s", diff)
		}
		info, err := e.Info(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if info.ID == 0 || info.Hash != h || info.Kind != "test" || info.Size != int64(len(content(1))) || info.CreatedAt.IsZero() {
			t.Errorf("got %+v", info)
		}
		again := e.register(t, 1)
		if again != h {
			t.Errorf("registered again: got the hash %s, want %s", again, h)
		}
		e.wantStored(t, h)
		if same, err := e.Info(t.Context(), h); err != nil || same != info {
			t.Errorf("registered again: got %+v, %v, want %+v", same, err, info)
		}
	})
}

func TestRegistry_Register_Refused(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		for name, content := range map[string]string{
			"NotJSON":         `{"kind":`,
			"Empty":           ``,
			"WhiteSpace":      `{"kind": "test"}`,
			"MemberOrder":     `{"n":1,"kind":"test"}`,
			"DuplicateMember": `{"kind":"test","kind":"test"}`,
			"InvalidUTF8":     "{\"kind\":\"\xff\"}",
			"LoneSurrogate":   `{"kind":"\ud800"}`,
			"HugeNumber":      `{"n":1e999}`,
		} {
			t.Run(name, func(t *testing.T) {
				_, err := e.Register(t.Context(), "test", []byte(content))
				wantError(t, err, fs.ErrInvalid)
				e.wantStored(t)
			})
		}
	})
}

func TestRegistry_Register_Mends(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.register(t, 1)
		path := e.rows(t)[0]
		e.link(t, flights, 1)
		t.Run("ObjectGone", func(t *testing.T) {
			if err := e.store.Delete(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			_, err := e.Manifest(t.Context(), h)
			wantError(t, err, fault.ErrCorrupt)
			if errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
				t.Errorf("a manifest whose object is gone reads as one that is not registered: %v", err)
			}
			e.register(t, 1)
			e.wantStored(t, h)
		})
		t.Run("ObjectCorrupt", func(t *testing.T) {
			if _, err := e.store.Put(t.Context(), path, content(2)); err != nil {
				t.Fatal(err)
			}
			_, err := e.Manifest(t.Context(), h)
			wantError(t, err, fault.ErrCorrupt)
			e.register(t, 1)
			e.wantStored(t, h)
		})
		t.Run("RowMissing", func(t *testing.T) {
			key := filepath.Join(filepath.Dir(path), dataset.HashOf(content(2)).String()+".json")
			if _, err := e.store.Put(t.Context(), key, content(2)); err != nil {
				t.Fatal(err)
			}
			e.wantStored(t, h, e.register(t, 2))
		})
	})
}

// The object comes first: where it cannot be written, there is no row.
func TestRegistry_Register_StoreFails(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		obstacle := filepath.Join(e.dir, ".annexfs")
		if err := os.WriteFile(obstacle, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Register(t.Context(), "test", content(1)); err == nil {
			t.Error("registered without an object")
		}
		if rows := e.rows(t); len(rows) != 0 {
			t.Errorf("got the rows %v, want none", rows)
		}
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		e.wantStored(t, e.register(t, 1))
	})
}

func TestRegistry_Manifest_NotRegistered(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := dataset.HashOf(content(1))
		_, err := e.Manifest(t.Context(), h)
		wantError(t, err, fs.ErrNotExist)
		_, err = e.Info(t.Context(), h)
		wantError(t, err, fs.ErrNotExist)
	})
}

// Content goes by what Info said; a manifest that was deleted since is not taken for one that lost its object.
func TestRegistry_Content(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.register(t, 1)
		info, err := e.Info(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		read := func() (string, error) {
			data, err := e.Content(t.Context(), info)
			return string(data), err
		}
		if got, err := read(); err != nil || got != string(content(1)) {
			t.Errorf("got %q, %v, want %q", got, err, content(1))
		}
		if err := e.Delete(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		_, err = read()
		wantError(t, err, fs.ErrNotExist)
		e.register(t, 1)
		if got, err := read(); err != nil || got != string(content(1)) {
			t.Errorf("registered again: got %q, %v, want %q", got, err, content(1))
		}
		if err := e.store.Delete(t.Context(), info.Path); err != nil {
			t.Fatal(err)
		}
		_, err = read()
		wantError(t, err, fault.ErrCorrupt)
	})
}

func TestRegistry_Manifests(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b, c := e.link(t, flights, 1), e.register(t, 2), e.link(t, flights, 3)
		want := func(orphans bool, want ...dataset.Hash) {
			t.Helper()
			all, err := e.Manifests(t.Context(), orphans)
			if err != nil {
				t.Fatal(err)
			}
			var got []dataset.Hash
			for _, m := range all {
				got = append(got, m.Hash)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifests, orphans=%t (-want +got):\n%s", orphans, diff)
			}
		}
		want(false, a, b, c)
		want(true, b)
		if err := e.Unlink(t.Context(), flights, a); err != nil {
			t.Fatal(err)
		}
		want(true, a, b)
		e.link(t, dataset.ID{Namespace: "other", Name: "flights"}, 2)
		want(true, a)
	})
}

func TestRegistry_Delete(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h, other := e.link(t, flights, 1), e.register(t, 2)
		err := e.Delete(t.Context(), h)
		wantError(t, err, fault.ErrConflict)
		if err != nil && !strings.Contains(err.Error(), flights.String()) {
			t.Errorf("the error does not name what links the manifest: %v", err)
		}
		e.wantStored(t, h, other)
		if err := e.Unlink(t.Context(), flights, h); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := e.Delete(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			e.wantStored(t, other)
		}
		_, err = e.Manifest(t.Context(), h)
		wantError(t, err, fs.ErrNotExist)
		id := e.register(t, 1)
		e.wantStored(t, other, id)
	})
}

// A manifest whose tables hold data stays, linked or not.
func TestRegistry_Delete_HasRevisions(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.register(t, 1)
		err := e.db.Update(t.Context(), func(tx *metadb.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO physical_tables
				(manifest_hash, dataset_namespace, dataset_name, table_name, revision, path, active, created_at, updated_at)
				VALUES ($1, 'aero', 'flights', 'legs', 'r', 'p', $2, 0, 0)`, h.String(), false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, e.Delete(t.Context(), h), fault.ErrConflict)
		e.wantStored(t, h)
	})
}

// The row goes first: where the object cannot be removed, what is left is an object that nobody refers to, and doing it
// again removes that.
func TestRegistry_Delete_StoreFails(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.register(t, 1)
		dir, aside := filepath.Join(e.dir, ".annexfs"), filepath.Join(e.dir, "aside")
		if err := errors.Join(os.Rename(dir, aside), os.Symlink(dir, dir)); err != nil {
			t.Fatal(err)
		}
		if err := e.Delete(t.Context(), h); err == nil {
			t.Error("deleted an object that cannot be reached")
		}
		if rows := e.rows(t); len(rows) != 0 {
			t.Errorf("got the rows %v, want none", rows)
		}
		if err := errors.Join(os.Remove(dir), os.Rename(aside, dir)); err != nil {
			t.Fatal(err)
		}
		if got := len(e.objects(t)); got != 1 {
			t.Errorf("got %d objects, want the one that is left", got)
		}
		if err := e.Delete(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		e.wantStored(t)
	})
}

// Of a link and a deletion at once exactly one fails, and what was linked is whole.
func TestRegistry_Delete_WhileLinking(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		var deleted int
		for n := range 40 {
			h := e.register(t, n)
			var linkErr, deleteErr error
			both := []func(){
				func() { linkErr = e.Link(t.Context(), flights, h) },
				func() { deleteErr = e.Delete(t.Context(), h) },
			}
			atOnce(both[n%2], both[1-n%2])
			switch {
			case linkErr == nil:
				wantError(t, deleteErr, fault.ErrConflict)
				if _, err := e.Manifest(t.Context(), h); err != nil {
					t.Error(err)
				}
				if got := e.row(t, flights, "dev").Hash; got != h {
					t.Errorf("dev denotes %s, want %s", got, h)
				}
			case deleteErr == nil:
				deleted++
				wantError(t, linkErr, fs.ErrNotExist)
				_, err := e.Info(t.Context(), h)
				wantError(t, err, fs.ErrNotExist)
			default:
				t.Errorf("both failed: link: %v, delete: %v", linkErr, deleteErr)
			}
		}
		t.Logf("%d of 40 were deleted", deleted)
		if diff := cmp.Diff(e.objects(t), e.rows(t), sorted); diff != "" {
			t.Errorf("objects (-) and rows (+) differ:\n%s", diff)
		}
	})
}

// Whatever order registrations and deletions at once take, a row has its object and an object its row, and who reads
// meanwhile finds the manifest or finds that it is not registered.
func TestRegistry_Delete_WhileRegistering(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		for n := range 40 {
			h := e.register(t, n)
			registering := func() {
				if _, err := e.Register(t.Context(), "test", content(n)); err != nil {
					t.Error(err)
				}
			}
			deleting := func() {
				if err := e.Delete(t.Context(), h); err != nil {
					t.Error(err)
				}
			}
			reading := func() {
				for range 20 {
					if _, err := e.Manifest(t.Context(), h); err != nil {
						wantError(t, err, fs.ErrNotExist)
					}
				}
			}
			atOnce(reading, registering, deleting, registering, deleting, reading)
			if diff := cmp.Diff(e.objects(t), e.rows(t), sorted); diff != "" {
				t.Fatalf("objects (-) and rows (+) differ:\n%s", diff)
			}
		}
	})
}

// atOnce runs all of fns together and waits for them.
func atOnce(fns ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, fn := range fns {
		wg.Go(func() {
			<-start
			fn()
		})
	}
	close(start)
	wg.Wait()
}
