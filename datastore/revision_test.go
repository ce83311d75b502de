package datastore_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// states are the UUIDs of a table's revisions, the newest first, and the active one.
func (f *fixture) states(t *testing.T) (all []uuid.UUID, active uuid.UUID) {
	t.Helper()
	revs, err := f.Revisions(t.Context(), f.table)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range revs {
		all = append(all, r.UUID)
		if r.Active {
			if active != (uuid.UUID{}) {
				t.Errorf("%s and %s are both active", active, r.UUID)
			}
			active = r.UUID
		}
	}
	return all, active
}

func TestStore_Create(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.create(t, datastore.CreateOptions{Actor: "ann"})
		if first.UUID.Version() != 7 {
			t.Errorf("UUID %s has version %d, want 7", first.UUID, first.UUID.Version())
		}
		wantEqual(t, "path", "tpch/sf1/lineitem/"+first.UUID.String()+"/", first.Path)
		wantEqual(t, "table", f.table, first.Table)
		if !first.Active || first.Writer != 0 || first.CreatedAt.IsZero() {
			t.Errorf("got %+v, want it active, without a writer, with a time", first)
		}
		second := f.create(t, datastore.CreateOptions{})
		idle := f.create(t, datastore.CreateOptions{Inactive: true})
		all, active := f.states(t)
		wantEqual(t, "revisions", []uuid.UUID{idle.UUID, second.UUID, first.UUID}, all)
		wantEqual(t, "active", second.UUID, active)
		if idle.Active {
			t.Error("a revision that was to be inactive is active")
		}
	})
}

func TestStore_Create_Refuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		unknown := f.table
		unknown.Manifest = dataset.HashOf([]byte("unknown"))
		_, err := f.Create(t.Context(), unknown, datastore.CreateOptions{})
		wantErr(t, "unknown manifest", err, fs.ErrNotExist)
		_, err = f.Create(t.Context(), f.table, datastore.CreateOptions{UUID: uuid.New()})
		wantErr(t, "UUID of another version", err, fs.ErrInvalid)

		rev := f.create(t, datastore.CreateOptions{})
		_, err = f.Create(t.Context(), f.table, datastore.CreateOptions{UUID: rev.UUID})
		wantErr(t, "UUID used before", err, fs.ErrExist)
		_, active := f.states(t)
		wantEqual(t, "active", rev.UUID, active)
	})
}

func TestStore_Create_Chosen(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id, path, err := datastore.NewRevision(f.table)
		if err != nil {
			t.Fatal(err)
		}
		rev := f.create(t, datastore.CreateOptions{UUID: id})
		wantEqual(t, "UUID", id, rev.UUID)
		wantEqual(t, "path", path, rev.Path)
	})
}

// Whoever creates, activates or publishes at once: there is one order, and one active revision.
func TestStore_Create_Concurrently(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const programs, times = 4, 8
		old := f.create(t, datastore.CreateOptions{})
		var g errgroup.Group
		for range programs {
			h := f.again(t, datastore.Options{})
			g.Go(func() error {
				for n := range times {
					if _, err := h.Create(t.Context(), f.table, datastore.CreateOptions{}); err != nil {
						return err
					}
					if n%4 == 0 {
						if err := h.Activate(t.Context(), f.table, old.UUID, ""); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		all, active := f.states(t)
		wantEqual(t, "number of revisions", 1+programs*times, len(all))
		n := value[int64](t, f, `select max(n) from activations`)
		wantEqual(t, "dense numbers", n, value[int64](t, f, `select count(*) from activations`))
		last := value[int64](t, f, `select location_id from activations order by n desc limit 1`)
		rev, err := f.Active(t.Context(), f.table)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "active revision", last, rev.ID)
		wantEqual(t, "active UUID", active, rev.UUID)
		wantEqual(t, "record", active.String(), *f.record(t).Revision)
		if bad := value[int64](t, f, `select count(*) from activations a join activations b on b.n = a.n + 1
			where b.activated_at < a.activated_at`); bad != 0 {
			t.Errorf("time went back %d times in the history", bad)
		}
	})
}

func TestStore_Activate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, second := f.create(t, datastore.CreateOptions{}), f.create(t, datastore.CreateOptions{})
		for range 2 { // the second time changes nothing
			if err := f.Activate(t.Context(), f.table, first.UUID, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		_, active := f.states(t)
		wantEqual(t, "active", first.UUID, active)
		wantEqual(t, "activations", int64(3), value[int64](t, f, `select count(*) from activations`))
		wantEqual(t, "actor", "ann", value[string](t, f, `select actor from activations where n = 3`))
		got := f.changes(t)[2]
		wantEqual(t, "change", metadb.Change{
			Seq: 3, Kind: metadb.ChangeActivate, Namespace: "tpch", Name: "sf1", Hash: f.table.Manifest.String(),
			Table: "lineitem", LocationID: first.ID,
		}, got)
		rev, err := f.Revision(t.Context(), f.table, second.UUID)
		if err != nil || rev.Active {
			t.Errorf("the former is %+v, %v, want it retained", rev, err)
		}
	})
}

func TestStore_Activate_Refuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		other := f.table
		other.Name = "orders"
		foreign, err := f.Create(t.Context(), other, datastore.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		job := f.startJob(t)
		written := f.create(t, datastore.CreateOptions{Inactive: true, Job: job})
		for _, tt := range []struct {
			name string
			id   uuid.UUID
			want error
		}{
			{"unknown", uuid.Must(uuid.NewV7()), fs.ErrNotExist},
			{"of another table", foreign.UUID, fs.ErrNotExist},
			{"still written", written.UUID, fault.ErrConflict},
		} {
			wantErr(t, tt.name, f.Activate(t.Context(), f.table, tt.id, ""), tt.want)
			_, active := f.states(t)
			wantEqual(t, "active after "+tt.name, rev.UUID, active)
		}
		_, err = f.Revision(t.Context(), f.table, foreign.UUID)
		wantErr(t, "resolve a revision of another table", err, fs.ErrNotExist)
		if err := job.End(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := f.Activate(t.Context(), f.table, written.UUID, ""); err != nil {
			t.Errorf("after its writer's end: %v", err)
		}
	})
}

func TestStore_Deactivate(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		for range 2 {
			if err := f.Deactivate(t.Context(), f.table, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		all, active := f.states(t)
		wantEqual(t, "revisions", []uuid.UUID{rev.UUID}, all)
		wantEqual(t, "active", uuid.UUID{}, active)
		_, err := f.Active(t.Context(), f.table)
		wantErr(t, "Active", err, fs.ErrNotExist)
		wantEqual(t, "activations", int64(2), value[int64](t, f, `select count(*) from activations`))
		changes := f.changes(t)
		wantEqual(t, "changes", 2, len(changes))
		wantEqual(t, "location of the last change", int64(0), changes[1].LocationID)
	})
}

func TestStore_ActiveTables(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.create(t, datastore.CreateOptions{})
		want := map[dataset.TableName]uuid.UUID{"lineitem": f.create(t, datastore.CreateOptions{}).UUID}
		orders := f.table
		orders.Name = "orders"
		rev, err := f.Create(t.Context(), orders, datastore.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want["orders"] = rev.UUID
		elsewhere := f.table
		elsewhere.Manifest = dataset.HashOf([]byte("another"))
		f.addManifest(t, elsewhere.Manifest)
		if _, err := f.Create(t.Context(), elsewhere, datastore.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		before := f.db.Queries()
		tables, err := f.Store.ActiveTables(t.Context(), f.table.Dataset, f.table.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "queries", int64(1), f.db.Queries()-before)
		got := map[dataset.TableName]uuid.UUID{}
		for name, rev := range tables {
			got[name] = rev.UUID
		}
		wantEqual(t, "active tables", want, got)
	})
}

func TestStore_ActiveAt(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		before := time.Now()
		tick()
		first := f.create(t, datastore.CreateOptions{})
		second := f.create(t, datastore.CreateOptions{})
		if err := f.Deactivate(t.Context(), f.table, ""); err != nil {
			t.Fatal(err)
		}
		if err := f.Activate(t.Context(), f.table, first.UUID, ""); err != nil {
			t.Fatal(err)
		}
		at := func(n int) time.Time {
			return metadb.Time(value[int64](t, f, `select activated_at from activations where n = $1`, n))
		}
		for _, tt := range []struct {
			name string
			at   time.Time
			want uuid.UUID
		}{
			{"BeforeAll", before, uuid.UUID{}},
			{"FirstInstant", at(1), first.UUID},
			{"LastOfFirst", at(2).Add(-time.Microsecond), first.UUID},
			{"Second", at(2), second.UUID},
			{"Nothing", at(3), uuid.UUID{}},
			{"FirstAgain", at(4), first.UUID},
			{"Now", time.Now(), first.UUID},
			{"ToCome", time.Now().Add(time.Hour), uuid.UUID{}},
		} {
			rev, err := f.ActiveAt(t.Context(), f.table, tt.at)
			if tt.want == (uuid.UUID{}) {
				wantErr(t, tt.name, err, fs.ErrNotExist)
			} else if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			wantEqual(t, tt.name, tt.want, rev.UUID)
		}
	})
}

// tick waits until the database's clock shows another microsecond.
func tick() {
	for start := time.Now(); time.Since(start) <= 2*time.Microsecond; {
	}
}

type record struct {
	Manifest, Actor string
	Revision        *string
	N               int64
	ActivatedAt     time.Time `json:"activated_at"`
}

// record is what the object store says is active.
func (f *fixture) record(t *testing.T) record {
	t.Helper()
	data, err := f.objects.ReadAll(t.Context(), "tpch/sf1/lineitem/"+f.table.Manifest.String()+".active.json")
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestStore_ActiveRecord(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first := f.create(t, datastore.CreateOptions{Actor: "ann"})
		check := func(what string, n int64, want *uuid.UUID) {
			t.Helper()
			r := f.record(t)
			if (want == nil) != (r.Revision == nil) || want != nil && *r.Revision != want.String() || r.N != n {
				t.Errorf("%s: got %+v, want revision %v and number %d", what, r, want, n)
			}
		}
		check("created", 1, &first.UUID)
		if r := f.record(t); r.Manifest != f.table.Manifest.String() || r.Actor != "ann" || r.ActivatedAt.IsZero() {
			t.Errorf("got %+v, want the manifest, the actor and the time", r)
		}
		second := f.publish(t, datastore.PublishOptions{Replace: true}, newFile(1))
		check("replaced", 2, &second.UUID)
		f.create(t, datastore.CreateOptions{Inactive: true})
		check("an inactive one", 2, &second.UUID)
		if err := f.Activate(t.Context(), f.table, first.UUID, ""); err != nil {
			t.Fatal(err)
		}
		check("rolled back", 3, &first.UUID)
		if err := f.Deactivate(t.Context(), f.table, ""); err != nil {
			t.Fatal(err)
		}
		check("deactivated", 4, nil)
	})
}

// What is committed stays when the object store does not take the record; the log says so, the next change mends it.
func TestStore_ActiveRecord_Fails(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var log bytes.Buffer
		s := f.withLog(slog.NewTextHandler(&log, nil))
		obstacle := filepath.Join(f.dir, "tpch")
		if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		rev, err := s.Create(t.Context(), f.table, datastore.CreateOptions{})
		if err != nil {
			t.Fatalf("got %v, want success", err)
		}
		_, active := f.states(t)
		wantEqual(t, "active", rev.UUID, active)
		if !strings.Contains(log.String(), "does not know the active revision") {
			t.Errorf("log is %q, want the failure in it", log.String())
		}
		if err := os.Remove(obstacle); err != nil {
			t.Fatal(err)
		}
		if err := s.Activate(t.Context(), f.table, rev.UUID, ""); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "record", rev.UUID.String(), *f.record(t).Revision)
	})
}
