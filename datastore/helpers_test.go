package datastore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects"
)

func TestMain(m *testing.M) { metadbtest.Main(m) }

// fixture is a data store on a fresh database, with one registered manifest.
type fixture struct {
	*datastore.Store
	db      *metadb.DB
	url     string
	objects *objects.Store
	dir     string // of the objects
	table   datastore.Table
}

// each runs fn on both databases.
func each(t *testing.T, fn func(t *testing.T, f *fixture)) {
	t.Helper()
	metadbtest.Each(t, func(t *testing.T, url string) { fn(t, newFixture(t, url, datastore.Options{Node: "here"})) })
}

func newFixture(t testing.TB, url string, o datastore.Options) *fixture {
	t.Helper()
	f := &fixture{url: url, dir: t.TempDir(), table: datastore.Table{
		Dataset:  dataset.ID{Namespace: "tpch", Name: "sf1"},
		Manifest: dataset.HashOf([]byte("manifest")),
		Name:     "lineitem",
	}}
	f.db = openDB(t, url)
	var err error
	if f.objects, err = objects.Open(t.Context(), "file://"+f.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.objects.Close() })
	f.Store = datastore.New(f.db, f.objects, o)
	f.addManifest(t, f.table.Manifest)
	return f
}

func openDB(t testing.TB, url string) *metadb.DB {
	t.Helper()
	db, err := metadb.Open(t.Context(), url, metadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// again is a second program on the same database.
func (f *fixture) again(t testing.TB, o datastore.Options) *fixture {
	t.Helper()
	g := *f
	g.db = openDB(t, f.url)
	g.Store = datastore.New(g.db, f.objects, o)
	return &g
}

// withLog is a store beside f's whose log can be read.
func (f *fixture) withLog(h slog.Handler) *datastore.Store {
	return datastore.New(f.db, f.objects, datastore.Options{Logger: slog.New(h)})
}

func (f *fixture) addManifest(t testing.TB, h dataset.Hash) {
	t.Helper()
	f.exec(t, `insert into manifests (hash, path, kind, size, created_at) values ($1, $1, 'json', 2, 0)`, h.String())
}

func (f *fixture) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	err := f.db.Update(t.Context(), func(tx *metadb.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// value is what a query for one value gives.
func value[T any](t testing.TB, f *fixture, query string, args ...any) T {
	t.Helper()
	var v T
	if err := f.db.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (f *fixture) create(t testing.TB, o datastore.CreateOptions) datastore.Revision {
	t.Helper()
	rev, err := f.Create(t.Context(), f.table, o)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// startJob starts a job that ends with the test, whatever became of it.
func (f *fixture) startJob(t testing.TB) *datastore.Job {
	t.Helper()
	j, err := f.StartJob(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.End(context.Background(), nil) })
	return j
}

// newFile is a file of a parquet table whose name and content follow from n.
func newFile(n int) datastore.NewFile {
	name := fmt.Sprintf("%09d-%016x.parquet", n, n)
	return datastore.NewFile{
		Name: name, URL: "objects/" + name, Size: int64(1000 + n), ETag: fmt.Sprint("etag", n),
		SHA256: dataset.HashOf([]byte(name)), Rows: 10, FooterOffset: int64(900 + n), Footer: []byte(name),
	}
}

func newFiles(from, to int) []datastore.NewFile {
	var files []datastore.NewFile
	for n := from; n < to; n++ {
		files = append(files, newFile(n))
	}
	return files
}

// treeFile is a file of a files table.
func treeFile(path, content string) datastore.NewFile {
	return datastore.NewFile{
		Name: path, URL: "annex:key-of-" + content, Size: int64(len(content)), SHA256: dataset.HashOf([]byte(content)),
		Statistics: datastore.Statistics{Keys: map[string]string{"label": content}},
	}
}

var tree = datastore.RegisterOptions{Tree: true}

func (f *fixture) register(t testing.TB, rev datastore.Revision, o datastore.RegisterOptions, files ...datastore.NewFile,
) []datastore.Registered {
	t.Helper()
	got, err := f.Register(t.Context(), rev, o, files)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (f *fixture) publish(t testing.TB, o datastore.PublishOptions, files ...datastore.NewFile) datastore.Revision {
	t.Helper()
	rev, _, err := f.Publish(t.Context(), f.table, o, files)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// changes are those recorded so far.
func (f *fixture) changes(t testing.TB) []metadb.Change {
	t.Helper()
	rows, err := f.db.Query(t.Context(), `select seq, kind, namespace, name, hash, table_name, location_id, first_file,
		last_file from changes order by seq, n`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var changes []metadb.Change
	for rows.Next() {
		var c metadb.Change
		if err := rows.Scan(&c.Seq, &c.Kind, &c.Namespace, &c.Name, &c.Hash, &c.Table, &c.LocationID, &c.FirstFile,
			&c.LastFile); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return changes
}

// paths are those of one directory's entries, directories with a slash behind.
func (f *fixture) paths(t testing.TB, location int64, dir string) []string {
	t.Helper()
	paths := []string{}
	for e, err := range f.List(t.Context(), location, dir) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Dir {
			e.Path += "/"
		}
		paths = append(paths, e.Path)
	}
	return paths
}

func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func wantEqual(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
