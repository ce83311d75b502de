package ingest_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
)

func TestAdd_Append(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.people(t, "b/2.parquet", 200, 3)
		f.people(t, "a/1.parquet", 100, 2)
		f.write(t, "b/_SUCCESS", nil)
		f.write(t, "b/notes.txt", []byte("no data"))
		f.write(t, "b/.hidden.parquet", []byte("no data"))
		f.write(t, "_delta_log/1.checkpoint.parquet", []byte("no data"))
		r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.in)
		if len(r.Files) != 2 || r.Files[0].Path != filepath.Join(f.in, "a/1.parquet") || r.Files[0].Rows != 2 || r.Files[0].Existing {
			t.Fatalf("added %+v", r.Files)
		}
		names := f.active(t, "acme/crm/people")
		if diff := cmp.Diff([]string{r.Files[0].Name, r.Files[1].Name}, names); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(names[0], "000000100-") || !strings.HasPrefix(names[1], "000000200-") {
			t.Errorf("names are not numbered by the block column: %v", names)
		}
		more := f.people(t, "more.parquet", 300, 1)
		if got := f.add(t, "acme/crm@dev/people", ingest.AddOptions{}, more); got.Revision.ID != r.Revision.ID {
			t.Errorf("a second add made revision %s, want %s", got.Revision.UUID, r.Revision.UUID)
		}
		if got := f.active(t, "acme/crm/people"); len(got) != 3 {
			t.Errorf("active: got %v, want 3 files", got)
		}
		if got := f.leftInStaging(t); len(got) != 0 {
			t.Errorf("staging holds %v", got)
		}
	})
}

func TestAdd_Content(t *testing.T) {
	f := local(t)
	path := f.people(t, "1.parquet", 5, 4)
	r := f.add(t, "acme/crm/people", ingest.AddOptions{}, path)
	rev := r.Revision
	stored, err := os.ReadFile(filepath.Join(f.dir, rev.Path, r.Files[0].Name))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(source, stored); diff != "" {
		t.Error("the object is not the source")
	}
	for file, err := range f.Options.Data.Files(t.Context(), rev.ID) {
		if err != nil {
			t.Fatal(err)
		}
		footer, err := f.Options.Data.Footer(t.Context(), file.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(source[footer.Offset:], footer.Bytes); diff != "" {
			t.Error("the footer is not the end of the file")
		}
		if got := string(file.Statistics.Columns["id"].Max); got != "8" || file.Rows != 4 || file.ETag == "" || file.SHA256 != dataset.HashOf(source) {
			t.Errorf("row: %+v", file)
		}
	}
}

func TestAdd_Again(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for _, to := range []string{"acme/crm/people", "acme/crm/counted"} {
			a, b := f.people(t, "a.parquet", 1, 1), f.people(t, "b.parquet", 2, 1)
			same := f.people(t, "same.parquet", 1, 1)
			first := f.add(t, to, ingest.AddOptions{}, a, b, same)
			before := f.active(t, to)
			if len(before) != 2 || !first.Files[2].Existing || first.Files[2].Name != first.Files[0].Name {
				t.Fatalf("%s: one content twice made %v", to, first.Files)
			}
			objects := len(f.stored(t))
			second := f.add(t, to, ingest.AddOptions{}, same, b, f.people(t, "c.parquet", 3, 1))
			if got := []bool{second.Files[0].Existing, second.Files[1].Existing, second.Files[2].Existing}; !cmp.Equal(got, []bool{true, true, false}) {
				t.Errorf("%s: existing: got %v, want the third to be new", to, got)
			}
			if got := f.active(t, to); len(got) != 3 || len(f.stored(t)) != objects+1 {
				t.Errorf("%s: active %v, objects %v; want one more of each", to, got, f.stored(t))
			}
		}
	})
}

func TestAdd_RunningNumbers(t *testing.T) {
	f := local(t)
	for n := range 3 {
		f.add(t, "acme/crm/counted", ingest.AddOptions{}, f.people(t, "x.parquet", int64(n), 1))
	}
	for n, name := range f.active(t, "acme/crm/counted") {
		if got, err := dataset.ParseFileName(name); err != nil || got.Block != uint64(n) {
			t.Errorf("name %d: got %s", n, name)
		}
	}
}

func TestAdd_Replace(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		old := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.people(t, "a.parquet", 1, 1), f.people(t, "b.parquet", 2, 1))
		r := f.add(t, "acme/crm/people", ingest.AddOptions{Replace: true, Actor: "ann"}, f.people(t, "b.parquet", 2, 1))
		if r.Revision.ID == old.Revision.ID || !r.Revision.Active {
			t.Errorf("--replace: revision %+v, before %+v", r.Revision, old.Revision)
		}
		if diff := cmp.Diff([]string{old.Files[1].Name}, f.active(t, "acme/crm/people")); diff != "" {
			t.Errorf("active (-want +got):\n%s", diff)
		}
		retained, err := f.Options.Data.Revision(t.Context(), r.Table, old.Revision.UUID)
		if err != nil || retained.Active {
			t.Errorf("the former revision: %+v, %v", retained, err)
		}
	})
}

func TestAdd_Refused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		type other struct {
			ID int32 `parquet:"id"`
		}
		paths := []string{
			f.people(t, "good.parquet", 1, 1),
			f.write(t, "schema.parquet", encode(t, other{1})),
			f.write(t, "text.parquet", []byte("hello")),
			f.write(t, "empty.parquet", nil),
			filepath.Join(f.in, "missing.parquet"),
			f.write(t, "dir/notes.txt", []byte("no data")),
			"/dev/null",
		}
		paths[5] = filepath.Dir(paths[5])
		for _, replace := range []bool{false, true} {
			_, err := f.Add(t.Context(), table(t, "acme/crm/people"), paths, ingest.AddOptions{Replace: replace})
			if err == nil {
				t.Fatal("bad files were added")
			}
			for _, want := range []string{"6 files are refused", "column id is int32, the table has int64", "column name (utf8) is missing", "text.parquet: ", "begins with", "it is empty", "missing.parquet: no such file", "no *.parquet file is in it", "/dev/null: it is no regular file"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not contain %q", err, want)
				}
			}
			for _, kind := range []error{fault.ErrConflict, fs.ErrInvalid, fs.ErrNotExist} {
				if !errors.Is(err, kind) {
					t.Errorf("error is no %v", kind)
				}
			}
			if strings.Contains(err.Error(), "good.parquet") {
				t.Errorf("error %q names a good file", err)
			}
		}
		if got, objects := f.active(t, "acme/crm/people"), f.stored(t); len(got) != 0 || len(objects) != 0 {
			t.Errorf("a refused command left rows %v, objects %v", got, objects)
		}
	})
}

func TestAdd_UnknownTable(t *testing.T) {
	f := local(t)
	path := f.people(t, "a.parquet", 1, 1)
	for _, ref := range []string{"acme/crm/nobody", "acme/none/people", "acme/crm@1.0.0/people"} {
		_, err := f.Add(t.Context(), table(t, ref), []string{path}, ingest.AddOptions{})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Add to %s: got %v, want fs.ErrNotExist", ref, err)
		}
		if ref == "acme/crm/nobody" && !strings.Contains(err.Error(), "counted, people, photos") {
			t.Errorf("error %q does not name the tables", err)
		}
	}
}

// TestAdd_FailsWhileStoring changes a file behind the back of an Add that has judged it.
func TestAdd_FailsWhileStoring(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.add(t, "acme/crm/counted", ingest.AddOptions{}, f.people(t, "0.parquet", 0, 1))
		for _, to := range []string{"acme/crm/people", "acme/crm/counted"} {
			before, objects := f.active(t, to), f.stored(t)
			a, b := f.people(t, "1.parquet", 1, 1), f.people(t, "2.parquet", 2, 1)
			var once sync.Once
			_, err := f.Add(t.Context(), table(t, to), []string{a, b}, ingest.AddOptions{Workers: 1, Progress: func(p ingest.Progress) {
				if p.Files == 1 {
					once.Do(func() { f.write(t, "2.parquet", []byte("PAR1 and then no more PAR1")) })
				}
			}})
			if err == nil || !strings.Contains(err.Error(), "2.parquet") {
				t.Fatalf("%s: got %v, want an error that names 2.parquet", to, err)
			}
			if diff := cmp.Diff(before, f.active(t, to)); diff != "" {
				t.Errorf("%s: active (-want +got):\n%s", to, diff)
			}
			if diff := cmp.Diff(objects, f.stored(t)); diff != "" {
				t.Errorf("%s: objects (-want +got):\n%s", to, diff)
			}
			if got := f.leftInStaging(t); len(got) != 0 {
				t.Errorf("staging holds %v", got)
			}
		}
	})
}

func TestAdd_KeptNames(t *testing.T) {
	f := local(t)
	const name = "000000009-00000000000000ff.parquet"
	r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.people(t, name, 1, 1))
	if r.Files[0].Name != name {
		t.Fatalf("name: got %s, want %s", r.Files[0].Name, name)
	}
	object := filepath.Join(f.dir, r.Revision.Path, name)
	before, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{1, 50} { // content of the same and of another size
		_, err = f.Add(t.Context(), table(t, "acme/crm/people"), []string{f.people(t, name, 7, n)}, ingest.AddOptions{})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("other content under a name that is taken: got %v, want fs.ErrExist", err)
		}
	}
	if after, err := os.ReadFile(object); err != nil || !cmp.Equal(before, after) {
		t.Errorf("the object has changed (%v)", err)
	}
	x, y := f.people(t, "x/"+name, 1, 1), f.people(t, "y/"+name, 2, 1)
	_, err = f.Add(t.Context(), table(t, "acme/crm/people"), []string{x, y}, ingest.AddOptions{Replace: true})
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("two contents under one name: got %v, want fs.ErrExist", err)
	}
	if got := f.stored(t); len(got) != 1 {
		t.Errorf("objects: got %v, want the first alone", got)
	}
}

func TestAdd_Partitions(t *testing.T) {
	f := local(t)
	f.write(t, "name=ann/1.parquet", encode(t, person{1, "ann"}))
	f.write(t, "name=bob/1.parquet", encode(t, person{2, "bob"}))
	r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.in)
	for file, err := range f.Options.Data.Files(t.Context(), r.Revision.ID) {
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"name": map[bool]string{true: "ann", false: "bob"}[strings.HasPrefix(file.Path, "000000001-")]}
		if diff := cmp.Diff(want, file.Statistics.Keys); diff != "" {
			t.Errorf("keys of %s (-want +got):\n%s", file.Path, diff)
		}
	}
	if _, err := f.Add(t.Context(), table(t, "acme/crm/counted"), []string{f.in}, ingest.AddOptions{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("partitions in a table without: got %v, want fs.ErrInvalid", err)
	}
	f.write(t, "name=carl/1.parquet", encode(t, person{3, "bob"}))
	if _, err := f.Add(t.Context(), table(t, "acme/crm/people"), []string{f.in}, ingest.AddOptions{}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a value in another's partition: got %v, want a conflict", err)
	}
}

func TestAdd_Symlinks(t *testing.T) {
	f := local(t)
	elsewhere := f.people(t, "elsewhere/1.parquet", 1, 1)
	in := filepath.Join(f.in, "in")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(in, "link.parquet")); err != nil {
		t.Fatal(err)
	}
	if got := f.add(t, "acme/crm/people", ingest.AddOptions{}, in); len(got.Files) != 1 {
		t.Errorf("a link to a file: got %v, want it followed", got.Files)
	}
	if err := os.Symlink("..", filepath.Join(in, "loop")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(t.Context(), table(t, "acme/crm/people"), []string{in}, ingest.AddOptions{}); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "symbolic link to a directory") {
		t.Errorf("a link to a directory: got %v, want it refused", err)
	}
}

func TestAdd_Locked(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.people(t, "1.parquet", 1, 1))
		job, err := f.Options.Data.StartJob(t.Context(), "compact")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Options.Data.Lock(t.Context(), r.Revision.ID, job); err != nil {
			t.Fatal(err)
		}
		two := f.people(t, "2.parquet", 2, 1)
		for _, replace := range []bool{false, true} {
			_, err := f.Add(t.Context(), table(t, "acme/crm/people"), []string{two}, ingest.AddOptions{Replace: replace})
			if !errors.Is(err, fault.ErrConflict) || !strings.Contains(err.Error(), "locked by job") {
				t.Errorf("Add to a locked table (replace %t): got %v, want a conflict that names the job", replace, err)
			}
		}
		if err := job.End(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		f.add(t, "acme/crm/people", ingest.AddOptions{}, two)
		if got := f.active(t, "acme/crm/people"); len(got) != 2 {
			t.Errorf("active after the lock: got %v, want 2 files", got)
		}
	})
}
