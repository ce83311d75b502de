package datastore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
)

// anyManifest is the table under whichever manifest.
func (f *fixture) anyManifest() datastore.Table {
	return datastore.Table{Dataset: f.table.Dataset, Name: f.table.Name}
}

// TestStore_Claim holds that nobody can create or add to a revision that is claimed, and that what was made for a claim is
// gone after it.
func TestStore_Claim(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		job, other := f.startJob(t), f.startJob(t)
		id, _, err := datastore.NewRevision(f.table)
		if err != nil {
			t.Fatal(err)
		}
		claim, err := f.Claim(t.Context(), f.anyManifest(), id, job)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Create(t.Context(), f.table, datastore.CreateOptions{UUID: id}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create of a claimed revision: %v, want fs.ErrExist", err)
		}
		if _, err := f.Claim(t.Context(), f.anyManifest(), id, other); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("a second Claim: %v, want fault.ErrConflict", err)
		}
		for range 2 {
			if err := f.Unclaim(t.Context(), claim, job); err != nil {
				t.Fatal(err)
			}
		}
		if known, err := f.Knows(t.Context(), id); known || err != nil {
			t.Errorf("Knows after Unclaim = %t, %v, want false", known, err)
		}
		rev := f.create(t, datastore.CreateOptions{UUID: id})
		if claim, err = f.Claim(t.Context(), f.anyManifest(), id, job); err != nil {
			t.Fatal(err)
		}
		if err := f.Lock(t.Context(), rev.ID, other); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("Lock of a claimed revision: %v, want fault.ErrConflict", err)
		}
		if err := f.Unclaim(t.Context(), claim, job); err != nil {
			t.Fatal(err)
		}
		if err := f.Lock(t.Context(), rev.ID, other); err != nil {
			t.Errorf("Lock after Unclaim: %v", err)
		}
	})
}

// TestStore_DropClaims holds that the claims of dead collectors go, and those of living ones stay.
func TestStore_DropClaims(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ids := map[string]uuid.UUID{}
		for _, name := range []string{"living", "dead"} {
			job, err := f.StartJob(t.Context(), datastore.CollectorKind)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { job.End(t.Context(), nil) })
			if ids[name], _, err = datastore.NewRevision(f.table); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Claim(t.Context(), f.anyManifest(), ids[name], job); err != nil {
				t.Fatal(err)
			}
			if name == "dead" {
				f.exec(t, `update jobs set heartbeat_at = 0 where id = $1`, job.ID)
			}
		}
		if err := f.DropClaims(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, id := range ids {
			if known, err := f.Knows(t.Context(), id); err != nil || known != (name == "living") {
				t.Errorf("the claim of a %s job is there: %t, %v", name, known, err)
			}
		}
	})
}

// TestStore_Unnamed asks for what rows name, what waits to be deleted, and what nobody names.
func TestStore_Unnamed(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		var contents, want []datastore.Content
		var names []string
		for n := range 3 {
			c := datastore.Content{URL: fmt.Sprintf("annex:KEY-%d.ünï \"x\"", n), SHA256: [32]byte{byte(n)}}
			contents = append(contents, c)
			names = append(names, fmt.Sprintf("%09d-%016x.parquet", n, n))
		}
		want = contents[2:]
		f.exec(t, `insert into file_metadata (location_id, file_name, url, object_size, sha256, created_at) values ($1, 'a', $2, 1, $3, 0)`,
			rev.ID, contents[0].URL, fmt.Sprintf("%x", contents[0].SHA256))
		f.exec(t, `insert into gc_manifest (file_id, location_id, file_path, expiration, created_at) values (1, $1, $2, 0, 0)`, rev.ID, contents[1].URL)
		got, err := f.UnnamedContents(t.Context(), contents)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("UnnamedContents: %v (-want +got):\n%s", err, diff)
		}
		f.exec(t, `insert into file_metadata (location_id, file_name, url, object_size, created_at) values ($1, $2, $3, 1, 0)`,
			rev.ID, names[0], rev.Path+names[0])
		f.exec(t, `insert into gc_manifest (file_id, location_id, file_path, expiration, created_at) values (2, $1, $2, 0, 0)`, rev.ID, rev.Path+names[1])
		unnamed, err := f.UnnamedObjects(t.Context(), f.anyManifest(), rev.UUID, names)
		if diff := cmp.Diff(names[1:], unnamed); diff != "" || err != nil {
			t.Errorf("UnnamedObjects: %v (-want +got):\n%s", err, diff)
		}
		for n, name := range names {
			if named, err := f.Named(t.Context(), f.anyManifest(), rev.Path+name); err != nil || named != (n < 2) {
				t.Errorf("Named(%s) = %t, %v", name, named, err)
			}
		}
	})
}
