package datastore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

func TestStore_List(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		f.register(t, rev, tree, treeFile("b/x/deep/1", "1"), treeFile("b/y", "2"), treeFile("b-c", "3"), treeFile("é", "4"),
			treeFile("B", "5"), treeFile("b/.z", "6"))
		f.register(t, rev, tree, treeFile("b/x/2", "7"), treeFile("c/3", "8"))
		for _, tt := range []struct {
			dir  string
			want []string
		}{
			{"", []string{"B", "b/", "b-c", "c/", "é"}}, // as the names' bytes are ordered
			{"b", []string{"b/.z", "b/x/", "b/y"}},
			{"b/x", []string{"b/x/2", "b/x/deep/"}},
			{"b/x/deep", []string{"b/x/deep/1"}},
			{"nosuch", []string{}},
			{"b/y", []string{}},
		} {
			before := f.db.Queries()
			wantEqual(t, fmt.Sprintf("%q", tt.dir), tt.want, f.paths(t, rev.ID, tt.dir))
			wantEqual(t, "queries", int64(1), f.db.Queries()-before)
		}
		wantEqual(t, "another revision", []string{}, f.paths(t, rev.ID+1, ""))
	})
}

func TestStore_List_Entries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		got := f.register(t, rev, tree, treeFile("d/file", "12345"))
		var entries []datastore.Entry
		for _, dir := range []string{"", "d"} {
			for e, err := range f.List(t.Context(), rev.ID, dir) {
				if err != nil {
					t.Fatal(err)
				}
				if e.ModTime.IsZero() || e.ID == 0 {
					t.Errorf("%+v, want an id and a time", e)
				}
				entries = append(entries, e)
			}
		}
		wantEqual(t, "entries", []datastore.Entry{
			{ID: entries[0].ID, Name: "d", Path: "d", ModTime: entries[0].ModTime, Dir: true},
			{ID: got[0].ID, Name: "file", Path: "d/file", Size: 5, ModTime: entries[1].ModTime},
		}, entries)
		for _, want := range entries { // a lookup gives what the listing gave
			e, err := f.LookupIn(t.Context(), rev.ID, want.Path)
			if err != nil || !cmp.Equal(e, want) {
				t.Errorf("LookupIn(%s) = %+v, %v, want %+v", want.Path, e, err, want)
			}
			e, err = f.Lookup(t.Context(), f.table, want.Path)
			if err != nil || !cmp.Equal(e, want) {
				t.Errorf("Lookup(%s) = %+v, %v, want %+v", want.Path, e, err, want)
			}
		}
	})
}

func TestStore_List_Canceled(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var got []error
		for _, err := range f.List(ctx, rev.ID, "") {
			got = append(got, err)
		}
		if len(got) != 1 || !errors.Is(got[0], context.Canceled) {
			t.Errorf("got %v, want context.Canceled once", got)
		}
	})
}

func TestStore_Lookup(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		oldest := f.publish(t, datastore.PublishOptions{}, newFiles(0, 3)...)
		retained := f.publish(t, datastore.PublishOptions{Replace: true}, newFiles(1, 3)...)
		active := f.publish(t, datastore.PublishOptions{Replace: true}, newFiles(2, 4)...)
		other := f.table
		other.Manifest = dataset.HashOf([]byte("another"))
		f.addManifest(t, other.Manifest)
		if _, _, err := f.Publish(t.Context(), other, datastore.PublishOptions{}, newFiles(9, 10)); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name string
			file int
			want int64 // LocationId
		}{
			{"in all", 2, active.ID}, {"active only", 3, active.ID}, {"newest retained", 1, retained.ID},
			{"oldest only", 0, oldest.ID}, {"under another manifest", 9, 0}, {"nowhere", 8, 0},
		} {
			before := f.db.Queries()
			e, err := f.Lookup(t.Context(), f.table, newFile(tt.file).Name)
			wantEqual(t, tt.name+": queries", int64(1), f.db.Queries()-before)
			if tt.want == 0 {
				wantErr(t, tt.name, err, fs.ErrNotExist)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			wantEqual(t, tt.name, tt.want, value[int64](t, f, `select location_id from file_metadata where id = $1`, e.ID))
		}
		_, err := f.LookupIn(t.Context(), active.ID, newFile(1).Name)
		wantErr(t, "LookupIn of a retained file", err, fs.ErrNotExist)
		if err := f.Deactivate(t.Context(), f.table, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Lookup(t.Context(), f.table, newFile(3).Name); err != nil {
			t.Errorf("after the table was deactivated: %v", err)
		}
	})
}

func TestStore_FilesBetween(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev, other := f.create(t, datastore.CreateOptions{}), f.create(t, datastore.CreateOptions{})
		f.register(t, rev, tree, treeFile("a", "1"))
		f.register(t, other, tree, treeFile("x", "1"))
		added := f.register(t, rev, tree, treeFile("d/c", "2"), treeFile("d/b", "3"))
		var got []string
		for e, err := range f.FilesBetween(t.Context(), rev.ID, added[0].ID-1, added[1].ID) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Path+" "+e.Name)
		}
		wantEqual(t, "files", []string{"d/c c", "d/b b"}, got)
	})
}

func TestStore_Files(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.publish(t, datastore.PublishOptions{}, newFile(2), newFile(1))
		before := f.db.Queries()
		var files []datastore.File
		for file, err := range f.Files(t.Context(), rev.ID) {
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		wantEqual(t, "queries", int64(1), f.db.Queries()-before)
		for n, file := range files {
			want, err := f.File(t.Context(), file.ID)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "file", want, file)
			wantEqual(t, "path", newFile(n+1).Name, file.Path)
		}
		wantEqual(t, "number of files", 2, len(files))
		st, err := f.Stats(t.Context(), rev.ID)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "stats", datastore.Stats{Files: 2, Rows: 20, Bytes: 2003}, st)
		st, err = f.Stats(t.Context(), rev.ID+1)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "stats of nothing", datastore.Stats{}, st)
		_, err = f.File(t.Context(), 1<<40)
		wantErr(t, "unknown file", err, fs.ErrNotExist)
	})
}

// manyFiles registers n files in the root, with footers, and a fifth of that in 200 directories below.
func (f *fixture) manyFiles(t *testing.T, n int) datastore.Revision {
	t.Helper()
	rev := f.create(t, datastore.CreateOptions{})
	footer := make([]byte, 1000)
	for first := 0; first < n; first += 10_000 {
		var files []datastore.NewFile
		for i := first; i < min(n, first+10_000); i++ {
			file := newFile(i)
			file.Footer = footer
			files = append(files, file)
			if i%5 == 0 {
				files = append(files, treeFile(fmt.Sprintf("deep/%03d/%s", i/5%200, file.Name), file.Name))
			}
		}
		f.register(t, rev, tree, files...)
	}
	return rev
}

// Listing 100,000 files is one query, neither holds the footers nor all entries in memory, and costs no more for the
// tree below.
func TestStore_List_Large(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const n = 100_000
		rev := f.manyFiles(t, n)
		before, base := f.db.Queries(), heap()
		files, peak := 0, base
		for e, err := range f.List(t.Context(), rev.ID, "") {
			if err != nil {
				t.Fatal(err)
			}
			if !e.Dir {
				files++
			}
			if files%20_000 == 1 {
				peak = max(peak, heap())
			}
		}
		wantEqual(t, "files", n, files)
		wantEqual(t, "queries", int64(1), f.db.Queries()-before)
		if used := peak - base; used > 32<<20 {
			t.Errorf("%d MB in memory while listing, want less than 32 (the footers are 100)", used>>20)
		}

		dirs := maps.Collect(f.List(t.Context(), rev.ID, "deep"))
		wantEqual(t, "directories", 200, len(dirs))
		wantEqual(t, "files of one directory", 100, len(f.paths(t, rev.ID, "deep/007")))
		f.wantIndexed(t, rev)
	})
}

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// wantIndexed checks that listing one directory does not read the others: the plan searches by all of an index.
func (f *fixture) wantIndexed(t *testing.T, rev datastore.Revision) {
	t.Helper()
	if f.db.Dialect() != metadb.SQLite {
		return // PostgreSQL plans by statistics, which a fresh table has not
	}
	rows, err := f.db.Query(t.Context(), `explain query plan select id from file_metadata where location_id = $1 and dir = $2
		union all select id from file_directories where location_id = $1 and dir = $2`, rev.ID, "deep/007")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	for _, want := range []string{
		"SEARCH file_metadata USING COVERING INDEX file_metadata_dir (location_id=? AND dir=?)",
		"SEARCH file_directories USING COVERING INDEX sqlite_autoindex_file_directories_1 (location_id=? AND dir=?)",
	} {
		if !slices.Contains(plan, want) {
			t.Errorf("plan %q, want %q in it", plan, want)
		}
	}
}
