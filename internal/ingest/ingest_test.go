package ingest_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

func TestMain(m *testing.M) { metadbtest.Main(m) }

// person is a row of the table people.
type person struct {
	ID   int64  `parquet:"id"`
	Name string `parquet:"name"`
}

var people = parquetTable(field("id", manifest.Int64), field("name", manifest.UTF8))

const manifestJSON = `{"kind": "dataset", "tables": {
	"people": {"kind": "parquet", "block_column": "id", "partition_by": ["name"], "schema": {"fields": [
		{"name": "id", "type": "int64"}, {"name": "name", "type": "utf8"}]}},
	"counted": {"kind": "parquet", "schema": {"fields": [
		{"name": "id", "type": "int64"}, {"name": "name", "type": "utf8"}]}},
	"photos": {"kind": "files", "key_columns": ["year", "place"]}}}`

// encode is a parquet file with these rows.
func encode[T any](t testing.TB, rows ...T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fixture is a repository's stores, and a directory of files to be added.
type fixture struct {
	ingest.Options
	*ingest.Ingester
	url string // of the database
	dir string // of objects; "" is a bucket
	in  string
	ids int64 // that were used for files
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	t.Helper()
	metadbtest.Each(t, func(t *testing.T, url string) { fn(t, newFixture(t, url, "file://"+t.TempDir())) })
}

// local is a fixture on the embedded database, for what no database can change.
func local(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, metadbtest.SQLite(t), "file://"+t.TempDir())
}

func newFixture(t *testing.T, url, objectsURL string) *fixture {
	t.Helper()
	store, err := objects.Open(t.Context(), objectsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	files, err := filestore.Open(t.TempDir(), filestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{url: url, in: t.TempDir(), Options: ingest.Options{Objects: store, Files: files, Staging: t.TempDir()}}
	f.dir, _ = strings.CutPrefix(objectsURL, "file://")
	f.open(t)
	h, err := f.Options.Registry.Register(t.Context(), "dataset", f.manifest(t).Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Options.Registry.Link(t.Context(), dataset.ID{Namespace: "acme", Name: "crm"}, h); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) manifest(t *testing.T) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse([]byte(manifestJSON))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// open connects to the database.
func (f *fixture) open(t *testing.T) {
	t.Helper()
	db, err := metadb.Open(t.Context(), f.url, metadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f.Options.Registry = registry.New(db, f.Options.Objects)
	f.Options.Data = datastore.New(db, f.Options.Objects, datastore.Options{Node: "test"})
	f.Ingester = ingest.New(f.Options)
}

// again is a second program on the same repository.
func (f *fixture) again(t *testing.T) *fixture {
	t.Helper()
	g := *f
	g.open(t)
	return &g
}

// write makes a file below the input directory and returns its path.
func (f *fixture) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(f.in, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// people writes a parquet file with so many rows from the first id on.
func (f *fixture) people(t *testing.T, name string, first, n int64) string {
	t.Helper()
	var rows []person
	for id := range n {
		rows = append(rows, person{first + id, "person"})
	}
	return f.write(t, name, encode(t, rows...))
}

func table(t *testing.T, text string) dataset.TableRef {
	t.Helper()
	ref, err := dataset.ParseTableRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// add adds and must succeed.
func (f *fixture) add(t *testing.T, to string, o ingest.AddOptions, paths ...string) ingest.Result {
	t.Helper()
	r, err := f.Add(t.Context(), table(t, to), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// active are the names in the active revision of a table.
func (f *fixture) active(t *testing.T, name string) []string {
	t.Helper()
	names := []string{}
	rev, ok := f.revision(t, name)
	if !ok {
		return names
	}
	for file, err := range f.Options.Data.Files(t.Context(), rev.ID) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, file.Path)
	}
	return names
}

func (f *fixture) revision(t *testing.T, name string) (datastore.Revision, bool) {
	t.Helper()
	target, err := f.Target(t.Context(), table(t, name))
	if err != nil {
		t.Fatal(err)
	}
	revs, err := f.Options.Data.Revisions(t.Context(), target.Table)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(revs, func(r datastore.Revision) bool { return r.Active })
	if i < 0 {
		return datastore.Revision{}, false
	}
	return revs[i], true
}

// stored are the keys of all parquet objects.
func (f *fixture) stored(t *testing.T) []string {
	t.Helper()
	keys := []string{}
	for o, err := range f.Options.Objects.List(t.Context(), "acme/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(o.Key, ".parquet") {
			keys = append(keys, o.Key)
		}
	}
	return keys
}

// leftInStaging are the names in the staging directory.
func (f *fixture) leftInStaging(t *testing.T) []string {
	t.Helper()
	names := []string{}
	err := filepath.WalkDir(f.Staging, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, e.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// cancelAfter cancels once so many files are done.
func cancelAfter(cancel context.CancelFunc, files int) func(ingest.Progress) {
	return func(p ingest.Progress) {
		if p.Files >= files {
			cancel()
		}
	}
}
