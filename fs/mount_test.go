package fs_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/fs"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

const sample = `{"kind":"dataset","tables":{
  "orders":{"kind":"parquet","schema":{"fields":[{"name":"id","type":"int64","nullable":false}]}},
  "images":{"kind":"files"}}}`

var sales = dataset.ID{Namespace: "acme", Name: "sales"}

// repo is an embedded database and stores in temporary directories.
type repo struct {
	fs.Backend
	t    *testing.T
	hash dataset.Hash // of the sample manifest, linked to acme/sales and tagged 1.0.0
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "objects"), 0o755); err != nil {
		t.Fatal(err)
	}
	return newRepoOn(t, "file://"+filepath.Join(dir, "objects"))
}

// newRepoOn is a repository with its objects in the store of that URL.
func newRepoOn(t *testing.T, objectsURL string) *repo {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "annexfs.db")
	must[int64](t)(first(metadb.Migrate(ctx, url)))
	db := must[*metadb.DB](t)(metadb.Open(ctx, url, metadb.Options{}))
	t.Cleanup(func() { db.Close() })
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	objs := must[*objects.Store](t)(objects.Open(ctx, objectsURL))
	t.Cleanup(func() { objs.Close() })
	r := &repo{t: t, Backend: fs.Backend{DB: db, Objects: objs, Registry: registry.New(db, objs),
		Data:  datastore.New(db, objs, datastore.Options{}),
		Files: must[*filestore.Store](t)(filestore.Open(filepath.Join(dir, "files"), filestore.Options{}))}}
	r.hash = r.link(sample)
	r.tag("1.0.0", r.hash)
	return r
}

func (r *repo) link(text string) dataset.Hash {
	r.t.Helper()
	m := must[*manifest.Manifest](r.t)(manifest.Parse([]byte(text)))
	h := must[dataset.Hash](r.t)(r.Registry.Register(r.t.Context(), m.Kind, m.Bytes))
	if err := r.Registry.Link(r.t.Context(), sales, h); err != nil {
		r.t.Fatal(err)
	}
	return h
}

func (r *repo) tag(version string, h dataset.Hash) {
	r.t.Helper()
	v := must[dataset.Version](r.t)(dataset.ParseVersion(version))
	must[dataset.Hash](r.t)(r.Registry.SetTag(r.t.Context(), sales, v, h, true))
}

func (r *repo) table(name dataset.TableName) datastore.Table {
	return datastore.Table{Dataset: sales, Manifest: r.hash, Name: name}
}

// orders publishes parquet files with these contents (which nobody parses here) and returns their names.
func (r *repo) orders(replace bool, contents ...string) []string {
	r.t.Helper()
	var files []datastore.NewFile
	var names []string
	for i, c := range contents {
		sum := sha256.Sum256([]byte(c))
		name := fmt.Sprintf("%09d-%x.parquet", i, sum[:8])
		info := must[objects.Info](r.t)(r.Objects.Put(r.t.Context(), "acme/sales/orders/data/"+name, []byte(c)))
		files = append(files, datastore.NewFile{Name: name, URL: info.Key, Size: info.Size, ETag: info.ETag, SHA256: sum, Rows: 1})
		names = append(names, name)
	}
	r.publish("orders", replace, files)
	return names
}

// images publishes a tree: path, content, path, content, …
func (r *repo) images(replace bool, pairs ...string) {
	r.t.Helper()
	var files []datastore.NewFile
	for i := 0; i < len(pairs); i += 2 {
		name, content := pairs[i], pairs[i+1]
		key, _, err := r.Files.Insert(r.t.Context(), bytesOf(content), filepath.Base(name))
		if err != nil {
			r.t.Fatal(err)
		}
		files = append(files, datastore.NewFile{Name: name, URL: "annex:" + key.String(), Size: key.Size, SHA256: key.Sum})
	}
	r.publish("images", replace, files)
}

func (r *repo) publish(name dataset.TableName, replace bool, files []datastore.NewFile) {
	r.t.Helper()
	o := datastore.PublishOptions{Replace: replace}
	o.Tree = name == "images"
	if _, _, err := r.Data.Publish(r.t.Context(), r.table(name), o, files); err != nil {
		r.t.Fatal(err)
	}
}

// mount mounts r until the test ends.
func (r *repo) mount(o fs.Options) (string, *fs.Server) {
	r.t.Helper()
	o.Mountpoint = r.t.TempDir()
	s := must[*fs.Server](r.t)(fs.Mount(r.t.Context(), r.Backend, o))
	r.t.Cleanup(func() {
		if err := s.Unmount(); err != nil {
			r.t.Error(err)
			_ = s.Detach()
		}
	})
	return o.Mountpoint, s
}

// eventually waits for ok, at most the second that the contract gives.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within a second: %s", what)
		}
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func first[A, B any](a A, _ B, err error) (A, error) { return a, err }
