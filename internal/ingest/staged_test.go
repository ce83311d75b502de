package ingest_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects/objectstest"
)

// stage puts a file into the staging directory.
func (f *fixture) stage(t *testing.T, name string, data []byte) ingest.File {
	t.Helper()
	path := filepath.Join(f.Staging, "tree", filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	return ingest.File{Path: path, Name: name, Size: int64(len(data))}
}

func (f *fixture) stagePeople(t *testing.T, name string, first, n int64) ingest.File {
	t.Helper()
	var rows []person
	for id := range n {
		rows = append(rows, person{first + id, "person"})
	}
	return f.stage(t, name, encode(t, rows...))
}

func (f *fixture) tableOf(t *testing.T, name string) ingest.Table {
	t.Helper()
	tab, err := f.Table(t.Context(), table(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// publish publishes and must succeed.
func (f *fixture) publish(t *testing.T, to string, b ingest.Batch) []ingest.Published {
	t.Helper()
	p, err := f.Publish(t.Context(), f.tableOf(t, to), b)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range b.Files {
		if _, err := os.Lstat(file.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("staged file %s after it was published: %v, want it gone", file.Path, err)
		}
	}
	return p
}

// refuse publishes, must be refused, and the staged files must be as they were.
func (f *fixture) refuse(t *testing.T, to string, b ingest.Batch, want error) {
	t.Helper()
	before := staged(t, b)
	_, err := f.Publish(t.Context(), f.tableOf(t, to), b)
	if !errors.Is(err, want) {
		t.Errorf("Publish: got %v, want %v", err, want)
	}
	if diff := cmp.Diff(before, staged(t, b)); diff != "" {
		t.Errorf("staged files (-before +after):\n%s", diff)
	}
}

// staged describes the staged files of a batch.
func staged(t *testing.T, b ingest.Batch) []string {
	t.Helper()
	var all []string
	for _, f := range b.Files {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %x", f.Name, info.Mode(), sha256.Sum256(data)))
	}
	return all
}

func one(f ingest.File) ingest.Batch { return ingest.Batch{Files: []ingest.File{f}} }

func TestIngester_Publish(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/people"
		first := f.publish(t, to, one(f.stagePeople(t, "a.parquet", 1, 2)))
		f.publish(t, to, one(f.stagePeople(t, "b.parquet", 10, 2)))
		again := f.publish(t, to, one(f.stagePeople(t, "c.parquet", 1, 2)))
		if first[0] != again[0] {
			t.Errorf("the same content again: got %v, want %v", again, first)
		}
		if got := f.active(t, to); len(got) != 2 {
			t.Errorf("active: got %v, want two files", got)
		}
		f.publish(t, to, ingest.Batch{Name: "r", Replace: true, Files: []ingest.File{
			f.stagePeople(t, "r/a.parquet", 20, 1), f.stagePeople(t, "r/b.parquet", 21, 1), f.stagePeople(t, "r/c.parquet", 20, 1),
		}})
		if got := f.active(t, to); len(got) != 2 || !strings.HasPrefix(got[0], "000000020-") {
			t.Errorf("after replacing: got %v, want the two contents of the batch", got)
		}
		f.publish(t, to, ingest.Batch{Name: "b", Files: []ingest.File{f.stagePeople(t, "b/a.parquet", 30, 1), f.stagePeople(t, "b/b.parquet", 20, 1)}})
		if got := f.active(t, to); len(got) != 3 {
			t.Errorf("after appending a batch: got %v, want three files", got)
		}
		f.wantNothingLeft(t)
	})
}

// wantNothingLeft looks at journals, and at objects that nothing names.
func (f *fixture) wantNothingLeft(t *testing.T) {
	t.Helper()
	if got := slices.DeleteFunc(f.leftInStaging(t), func(name string) bool { return strings.HasPrefix(name, "spool-") }); len(got) > 0 {
		t.Errorf("staging holds %v, want nothing", got)
	}
	named := map[string]bool{}
	for _, rev := range f.revisions(t, "people", "counted") {
		for file, err := range f.Options.Data.Files(t.Context(), rev.ID) {
			if err != nil {
				t.Fatal(err)
			}
			named[file.URL] = true
		}
	}
	for _, key := range f.stored(t) {
		if !named[key] {
			t.Errorf("object %s is named by no row", key)
		}
		delete(named, key)
	}
	for url := range named {
		t.Errorf("the object %s of a row is not there", url)
	}
}

func TestIngester_PublishFiles(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/photos"
		p := f.publish(t, to, one(f.stage(t, "2024/paris/a.txt", []byte("small"))))
		f.publish(t, to, one(f.stage(t, "2024/paris/b.bin", make([]byte, 300<<10))))
		f.publish(t, to, one(f.stage(t, "2024/paris/c.bin", make([]byte, 100<<10))))
		f.publish(t, to, one(f.stage(t, "2024/paris/a.txt", []byte("small"))))
		f.publish(t, to, ingest.Batch{Name: "b", Files: []ingest.File{f.stage(t, "x/1", []byte("1")), f.stage(t, "x/2", []byte("1"))}})
		want := []string{"2024/paris/a.txt", "2024/paris/b.bin", "2024/paris/c.bin", "x/1", "x/2"}
		if diff := cmp.Diff(want, f.active(t, to)); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		row, err := f.Options.Data.File(t.Context(), p[0].ID)
		if err != nil || row.Statistics.Keys["place"] != "paris" || row.Statistics.Keys["year"] != "2024" {
			t.Errorf("key columns: got %v, %v", row.Statistics.Keys, err)
		}
		for _, size := range []int{6, 300 << 10} {
			f.refuse(t, to, one(f.stage(t, "2024/paris/a.txt", make([]byte, size))), fs.ErrExist)
		}
		f.refuse(t, to, ingest.Batch{Files: []ingest.File{f.stage(t, "y", nil), f.stage(t, "x/2", []byte("other"))}}, fs.ErrExist)
		f.refuse(t, to, one(f.stage(t, "x/1/z", []byte("below a file"))), fs.ErrExist)
		if diff := cmp.Diff(want, f.active(t, to)); diff != "" {
			t.Errorf("active after refusals (-want +got):\n%s", diff)
		}
		moved, err := f.Rename(t.Context(), f.tableOf(t, to), []ingest.Move{{Published: p[0], Name: "2025/a.txt"}})
		if err != nil || moved[0] != p[0] {
			t.Errorf("Rename: got %v, %v, want %v", moved, err, p[0])
		}
		if _, err := f.Rename(t.Context(), f.tableOf(t, to), []ingest.Move{{Published: moved[0], Name: "x/2"}}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Rename over other content: got %v, want fs.ErrExist", err)
		}
		want = []string{"2024/paris/b.bin", "2024/paris/c.bin", "2025/a.txt", "x/1", "x/2"}
		if diff := cmp.Diff(want, f.active(t, to)); diff != "" {
			t.Errorf("active after Rename (-want +got):\n%s", diff)
		}
		content, err := f.Open(t.Context(), moved[0])
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		data := make([]byte, 5)
		if _, err := content.ReadAt(data, 0); err != nil || string(data) != "small" {
			t.Errorf("Open: got %q, %v", data, err)
		}
	})
}

func TestIngester_PublishRefuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/people"
		good := f.stagePeople(t, "good.parquet", 1, 1)
		type stranger struct {
			Other string `parquet:"other"`
		}
		for name, data := range map[string][]byte{
			"text.parquet": []byte("no parquet file"), "empty.parquet": nil, "schema.parquet": encode(t, stranger{"x"}),
			"region=eu/hive.parquet": encode(t, person{5, "eu"}),
		} {
			bad := f.stage(t, name, data)
			f.refuse(t, to, one(bad), fs.ErrInvalid)
			f.refuse(t, to, ingest.Batch{Name: "b", Files: []ingest.File{good, bad}}, fs.ErrInvalid)
		}
		if got := f.active(t, to); len(got) != 0 {
			t.Errorf("active: got %v, want nothing", got)
		}
		if got := f.stored(t); len(got) != 0 {
			t.Errorf("objects: got %v, want none", got)
		}
	})
}

func TestIngester_PublishReplaces(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
			p := f.publish(t, to, one(f.stagePeople(t, "a.parquet", 1, 1)))
			next := f.stagePeople(t, "a.parquet", 1, 2)
			next.Replaces = p[0]
			q := f.publish(t, to, one(next))
			if got := f.active(t, to); len(got) != 1 || q[0].ID == p[0].ID {
				t.Errorf("%s: got %v, row %d after %d, want the new row alone", to, got, q[0].ID, p[0].ID)
			}
		}
		f.wantNothingLeft(t)
		// Somebody else was told that a row is his: it stays.
		const to = "acme/crm/people"
		p := f.publish(t, to, one(f.stagePeople(t, "a.parquet", 7, 1)))
		f.publish(t, to, one(f.stagePeople(t, "b.parquet", 7, 1)))
		next := f.stagePeople(t, "a.parquet", 8, 1)
		next.Replaces = p[0]
		f.publish(t, to, one(next))
		if got := f.active(t, to); len(got) != 3 {
			t.Errorf("after correcting shared content: got %v, want three files", got)
		}
	})
}

// TestIngester_PublishFault fails at each step: nothing is seen, and the staged files are there.
func TestIngester_PublishFault(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		broken := errors.New("broken")
		for _, step := range []string{"store", "stored"} {
			for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
				var n atomic.Int64
				f.FailAt(func(s string) error {
					if n.Add(1) > 1 && s == step {
						return broken
					}
					return nil
				})
				f.refuse(t, to, ingest.Batch{Name: "b", Files: []ingest.File{
					f.stagePeople(t, "a.parquet", 1, 1), f.stagePeople(t, "b.parquet", 2, 1), f.stagePeople(t, "c.parquet", 3, 1),
				}}, broken)
				if got := f.active(t, to); len(got) != 0 {
					t.Errorf("%s at %s: got %v, want nothing", to, step, got)
				}
			}
			if got := f.stored(t); len(got) != 0 {
				t.Errorf("objects after a failure at %s: %v", step, got)
			}
		}
	})
}

func TestIngester_PublishBucket(t *testing.T) {
	url, _ := objectstest.S3(t)
	f := newFixture(t, metadbtest.SQLite(t), url)
	const to = "acme/crm/people"
	f.publish(t, to, one(f.stagePeople(t, "a.parquet", 1, 1)))
	broken := errors.New("broken")
	f.FailAt(func(step string) error {
		if step == "stored" {
			return broken
		}
		return nil
	})
	b := ingest.Batch{Name: "b", Replace: true, Files: []ingest.File{f.stagePeople(t, "b.parquet", 2, 1), f.stagePeople(t, "c.parquet", 3, 1)}}
	f.refuse(t, to, b, broken)
	f.FailAt(func(string) error { return nil })
	f.publish(t, to, b)
	f.wantNothingLeft(t)
}
