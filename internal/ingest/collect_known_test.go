package ingest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
)

// TestCollect_Unknown holds that what no Add has stored stays, and is counted.
func TestCollect_Unknown(t *testing.T) {
	f := local(t)
	r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
	id := uuid.Must(uuid.NewV7()).String()
	keys := []string{
		"acme/crm/people/" + id + "/notes.txt",
		"acme/crm/people/" + id + "/below/000000001-00000000000000aa.parquet",
		"acme/crm/people/" + uuid.NewString() + "/000000001-00000000000000aa.parquet", // version 4
		"acme/crm/people/000000001-00000000000000aa.parquet",
		r.Revision.Path + "_SUCCESS",
	}
	other := []string{".annexfs/something", "acme/crm/file", "Other/crm/people/" + id + "/000000001-00000000000000aa.parquet"}
	for _, key := range append(keys, other...) {
		if _, err := f.Options.Objects.Put(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(filepath.Dir(f.Options.Files.Path(dataset.Key{})), "MD5-s1--x")
	if err := os.MkdirAll(filepath.Dir(foreign), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before := f.everything(t)
	got, names := f.collect(t, ingest.CollectOptions{Before: toCome()})
	if want := (ingest.Collected{Unknown: int64(len(keys))}); got != want || len(names) != 0 {
		t.Errorf("Collect: got %+v, %v, want %+v", got, names, want)
	}
	if diff := cmp.Diff(before, f.everything(t)); diff != "" {
		t.Errorf("objects (-before +after):\n%s", diff)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

func (f *fixture) everything(t *testing.T) []string {
	t.Helper()
	var keys []string
	for o, err := range f.Options.Objects.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// TestCollect_OtherDatabase holds that a database which does not know what is active takes nothing for garbage, nor one
// that is younger than what is stored.
func TestCollect_OtherDatabase(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
		g := local(t)
		g.Options.Objects = f.Options.Objects
		g.open(t)
		if got, _ := g.collect(t, ingest.CollectOptions{Before: toCome()}); got != (ingest.Collected{Unknown: 4}) {
			t.Errorf("Collect with a database of another store: got %+v, want 4 unknown", got)
		}
	})
	f := local(t)
	f.abandon(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
	f.abandon(t, "acme/crm/photos", ingest.AddOptions{}, f.some(t, "photos", 0)...)
	later := time.Now().Add(time.Minute)
	since := func(context.Context) (time.Time, error) { return later, nil }
	garbage := int64(len(f.stored(t)) + len(f.keys(t)))
	if got, _ := f.collect(t, ingest.CollectOptions{Before: toCome(), Since: since}); got != (ingest.Collected{Unknown: garbage}) {
		t.Errorf("Collect with a younger database: got %+v, want %d unknown", got, garbage)
	}
	failing := func(context.Context) (time.Time, error) { return time.Time{}, fault.ErrConflict }
	if _, err := f.Collect(t.Context(), ingest.CollectOptions{Before: toCome(), Since: failing}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("Collect without a repository: %v, want the error of Since", err)
	}
}

// TestCollect_Temporary holds that unfinished files go when they are old, and stay when they are young.
func TestCollect_Temporary(t *testing.T) {
	f := local(t)
	f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
	files := filepath.Dir(filepath.Dir(filepath.Dir(f.Options.Files.Path(dataset.Key{}))))
	var want []string
	for _, dir := range []string{f.Staging, filepath.Join(files, "tmp"), f.dir, filepath.Join(f.dir, "acme", "crm", "people")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		old, young := filepath.Join(dir, ".annexfs-tmp-1"), filepath.Join(dir, ".annexfs-tmp-2")
		for _, path := range []string{old, young} {
			if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(old, time.Time{}, time.Now().Add(-48*time.Hour)); err != nil {
			t.Fatal(err)
		}
		want = append(want, old)
	}
	got, names := f.collect(t, ingest.CollectOptions{})
	if diff := cmp.Diff(without(want, nil), names); diff != "" || got.Temporary != (ingest.Total{Count: 4, Bytes: 16}) {
		t.Errorf("Collect: got %+v (-want +got):\n%s", got, diff)
	}
	for _, path := range want {
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want it gone", path, err)
		}
	}
}

// TestCollect_Locked holds that a revision which somebody writes to is left for the next time.
func TestCollect_Locked(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
		f.abandon(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 1000)...)
		job, err := f.Options.Data.StartJob(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Options.Data.Lock(t.Context(), r.Revision.ID, job); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.collect(t, ingest.CollectOptions{Before: toCome()}); got.Busy == 0 || got.Objects.Count != 0 {
			t.Errorf("Collect: got %+v, want nothing but busy", got)
		}
		if err := job.End(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got, _ := f.collect(t, ingest.CollectOptions{Before: toCome()}); got.Busy != 0 || got.Objects.Count == 0 {
			t.Errorf("Collect once it is free: got %+v", got)
		}
	})
}

// TestCollect_Staged holds that what a commit from staging has moved, and not registered yet, stays.
func TestCollect_Staged(t *testing.T) {
	for _, step := range []string{"stored", "registered"} {
		for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
			for _, files := range []int64{1, 2} {
				f := local(t)
				var b ingest.Batch
				for n := range files {
					file := f.stagePeople(t, string(rune('a'+n))+".parquet", n*10, 1)
					if err := os.Chtimes(file.Path, time.Time{}, time.Unix(1000, 0)); err != nil {
						t.Fatal(err)
					}
					b.Files = append(b.Files, file)
				}
				f.FailAt(func(at string) error {
					if at == step {
						f.again(t).collect(t, ingest.CollectOptions{Before: toCome()})
					}
					return nil
				})
				f.publish(t, to, b)
				f.again(t).collect(t, ingest.CollectOptions{})
				if got := f.wantContents(t); got != int(files) {
					t.Errorf("%s of %s: %d files are registered, want %d", step, to, got, files)
				}
			}
		}
	}
}

// TestCollect_StagedTime holds that a commit which is undone gives a staged file its time back.
func TestCollect_StagedTime(t *testing.T) {
	for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
		f := local(t)
		file, want := f.stagePeople(t, "a.parquet", 1, 1), time.Unix(1000, 5000)
		if err := os.Chtimes(file.Path, time.Time{}, want); err != nil {
			t.Fatal(err)
		}
		f.FailAt(func(step string) error {
			if step == "stored" {
				return fault.ErrConflict
			}
			return nil
		})
		f.refuse(t, to, ingest.Batch{Files: []ingest.File{file}}, fault.ErrConflict)
		if info, err := os.Stat(file.Path); err != nil || !info.ModTime().Equal(want) {
			t.Errorf("%s: the staged file's time: %v, %v, want %v", to, info.ModTime(), err, want)
		}
	}
}
