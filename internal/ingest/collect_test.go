package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects/objectstest"
)

// toCome makes everything old that is there when it is asked.
func toCome() time.Time { return time.Now().Add(time.Hour) }

// collect collects, must succeed, and returns the names of the garbage in order.
func (f *fixture) collect(t *testing.T, o ingest.CollectOptions) (ingest.Collected, []string) {
	t.Helper()
	names := []string{}
	o.Report = func(g ingest.Garbage) error {
		names = append(names, g.Name)
		return nil
	}
	got, err := f.Collect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return got, names
}

// keys are the keys of the file store.
func (f *fixture) keys(t *testing.T) []string {
	t.Helper()
	keys := []string{}
	for info, err := range f.Options.Files.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, info.Key.String())
	}
	slices.Sort(keys)
	return keys
}

// abandon leaves what two files of an Add that is never finished have stored, and takes its journal away.
func (f *fixture) abandon(t *testing.T, to string, o ingest.AddOptions, paths ...string) {
	t.Helper()
	f.interrupt(t, to, o, paths...)
	journals, err := filepath.Glob(filepath.Join(f.Staging, "add-*.json"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals: %v, %v, want one", journals, err)
	}
	if err := os.Remove(journals[0]); err != nil {
		t.Fatal(err)
	}
}

// some are four files of people from an id on, or of photos.
func (f *fixture) some(t *testing.T, to string, first int64) []string {
	t.Helper()
	var paths []string
	for n := range int64(4) {
		if strings.HasSuffix(to, "photos") {
			name := fmt.Sprintf("%d-%d.jpg", first, n)
			paths = append(paths, f.write(t, name, []byte(name)))
		} else {
			paths = append(paths, f.people(t, fmt.Sprintf("%s/%d-%d.parquet", path.Base(to), first, n), first+n*10, n+1))
		}
	}
	return paths
}

func eachStore(t *testing.T, fn func(t *testing.T, f *fixture)) {
	t.Helper()
	each(t, fn)
	t.Run("memory", func(t *testing.T) { fn(t, newFixture(t, metadbtest.SQLite(t), "mem://")) })
	t.Run("S3", func(t *testing.T) {
		url, _ := objectstest.S3(t)
		fn(t, newFixture(t, metadbtest.SQLite(t), url))
	})
}

// TestCollect_Abandoned holds that what abandoned Adds have stored goes, in a new revision and in an active one, and all
// else stays.
func TestCollect_Abandoned(t *testing.T) {
	eachStore(t, func(t *testing.T, f *fixture) {
		f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
		f.add(t, "acme/crm/photos", ingest.AddOptions{}, f.some(t, "photos", 0)...)
		objects, keys := f.stored(t), f.keys(t)
		f.abandon(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 1000)...)
		f.abandon(t, "acme/crm/people", ingest.AddOptions{Replace: true}, f.some(t, "people", 2000)...)
		f.abandon(t, "acme/crm/counted", ingest.AddOptions{}, f.some(t, "counted", 3000)...)
		f.abandon(t, "acme/crm/photos", ingest.AddOptions{}, f.some(t, "photos", 4000)...)
		all, allKeys := f.stored(t), f.keys(t)
		want := without(append(slices.Clone(all), allKeys...), append(slices.Clone(objects), keys...))
		if len(want) < 8 {
			t.Fatalf("abandoned Adds left %v, want two files of each of four", want)
		}
		if got, names := f.collect(t, ingest.CollectOptions{}); len(names) != 0 {
			t.Errorf("collected %+v of what is young: %v", got, names)
		}
		dry, wouldGo := f.collect(t, ingest.CollectOptions{Before: toCome(), DryRun: true})
		if diff := cmp.Diff(want, wouldGo); diff != "" {
			t.Errorf("dry run (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(all, f.stored(t)); diff != "" {
			t.Errorf("a dry run removed objects (-want +got):\n%s", diff)
		}
		got, gone := f.collect(t, ingest.CollectOptions{Before: toCome(), Gentle: true})
		if diff := cmp.Diff(want, gone); diff != "" || got != dry || got.Unknown != 0 || got.Busy != 0 {
			t.Errorf("collected %+v, announced %+v (-want +got):\n%s", got, dry, diff)
		}
		if diff := cmp.Diff(objects, f.stored(t)); diff != "" {
			t.Errorf("objects (-registered +left):\n%s", diff)
		}
		if diff := cmp.Diff(keys, f.keys(t)); diff != "" {
			t.Errorf("keys (-registered +left):\n%s", diff)
		}
		f.wantUnclaimed(t)
		f.add(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 1000)...)
		f.wantContents(t)
	})
}

// without are those of all that are not in some, sorted.
func without(all, some []string) []string {
	left := []string{}
	for _, one := range all {
		if !slices.Contains(some, one) {
			left = append(left, one)
		}
	}
	slices.Sort(left)
	return left
}

// revisions are all of the tables of acme/crm that have these names.
func (f *fixture) revisions(t *testing.T, tables ...string) (all []datastore.Revision) {
	t.Helper()
	for _, name := range tables {
		target, err := f.Target(t.Context(), table(t, "acme/crm/"+name))
		if err != nil {
			t.Fatal(err)
		}
		revs, err := f.Options.Data.Revisions(t.Context(), target.Table)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, revs...)
	}
	return all
}

// wantUnclaimed checks that no claim and no lock is left.
func (f *fixture) wantUnclaimed(t *testing.T) {
	t.Helper()
	for _, rev := range f.revisions(t, "people", "counted", "photos") {
		if stats, err := f.Options.Data.Stats(t.Context(), rev.ID); err != nil || stats.Files == 0 || rev.Writer != 0 {
			t.Errorf("revision %s of %s: %d files, writer %d, %v", rev.UUID, rev.Table, stats.Files, rev.Writer, err)
		}
	}
}

// wantContents checks that everything that has a row has its content.
func (f *fixture) wantContents(t *testing.T) (files int) {
	t.Helper()
	for _, rev := range f.revisions(t, "people", "counted", "photos") {
		for file, err := range f.Options.Data.Files(t.Context(), rev.ID) {
			if err != nil {
				t.Fatal(err)
			}
			files++
			f.wantContent(t, file.URL, file.Size)
		}
	}
	return files
}

func (f *fixture) wantContent(t *testing.T, url string, size int64) {
	t.Helper()
	if text, ok := strings.CutPrefix(url, ingest.KeyScheme); ok {
		key, err := dataset.ParseKey(text)
		if err == nil {
			err = f.Options.Files.Verify(t.Context(), key)
		}
		if err != nil {
			t.Errorf("registered content: %v", err)
		}
	} else if o, err := f.Options.Objects.Stat(t.Context(), url); err != nil || o.Size != size {
		t.Errorf("registered object %s: %d bytes, %v, want %d", url, o.Size, err, size)
	}
}

// TestCollect_Journal holds that a young journal keeps what an Add will go on with, that an old one does not, and that
// the next Add begins anew.
func TestCollect_Journal(t *testing.T) {
	for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
		t.Run(path.Base(to), func(t *testing.T) {
			f := local(t)
			paths := f.some(t, to, 0)
			f.interrupt(t, to, ingest.AddOptions{}, paths...)
			journals, err := filepath.Glob(filepath.Join(f.Staging, "add-*.json"))
			if err != nil || len(journals) != 1 {
				t.Fatalf("journals: %v, %v, want one", journals, err)
			}
			f.age(t)
			now := time.Now()
			if err := os.Chtimes(journals[0], now, now); err != nil {
				t.Fatal(err)
			}
			if _, names := f.collect(t, ingest.CollectOptions{}); to == "acme/crm/people" && len(names) != 0 {
				t.Errorf("collected what an Add will go on with: %v", names)
			}
			f.age(t)
			f.collect(t, ingest.CollectOptions{})
			if got := append(f.stored(t), f.keys(t)...); len(got) != 0 {
				t.Errorf("an abandoned Add left %v", got)
			}
			if got := f.leftInStaging(t); len(got) != 0 {
				t.Errorf("staging holds %v", got)
			}
			f.add(t, to, ingest.AddOptions{}, paths...)
			f.age(t)
			f.collect(t, ingest.CollectOptions{})
			if got := f.wantContents(t); got != len(paths) {
				t.Errorf("%d files are registered, want %d", got, len(paths))
			}
		})
	}
}

// age makes all that is stored, and journals, two days old.
func (f *fixture) age(t *testing.T) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	files := filepath.Dir(filepath.Dir(filepath.Dir(f.Options.Files.Path(dataset.Key{}))))
	for _, dir := range []string{f.dir, files, f.Staging} {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				err = os.Chtimes(path, then, then)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCollect_Living lets an Add run that is older than all that may be collected: nothing of it is touched, whether it
// could have a journal of its own or not.
func TestCollect_Living(t *testing.T) {
	for _, to := range []string{"acme/crm/people", "acme/crm/photos"} {
		t.Run(path.Base(to), func(t *testing.T) {
			f := local(t)
			g := f.again(t)
			begun := false
			inner := func() {
				done := false
				g.addWith(t, to, ingest.AddOptions{}, g.some(t, to, 500), func() {
					if !done {
						done = true
						f.again(t).collect(t, ingest.CollectOptions{Before: toCome()})
					}
				})
			}
			f.addWith(t, to, ingest.AddOptions{}, f.some(t, to, 0), func() {
				if !begun {
					begun = true
					inner()
				}
			})
			if got := f.wantContents(t); got != 8 {
				t.Errorf("%d files are registered, want 8", got)
			}
		})
	}
}

// addWith adds with one worker and calls fn after each file.
func (f *fixture) addWith(t *testing.T, to string, o ingest.AddOptions, paths []string, fn func()) {
	t.Helper()
	files := 0
	o.Workers, o.Progress = 1, func(p ingest.Progress) {
		if p.Files > files {
			files = p.Files
			fn()
		}
	}
	f.add(t, to, o, paths...)
}

// TestCollect_Elsewhere resumes an Add on another machine than the collector's, which sees no journal: what is collected
// under the Add's hands is stored again, and where it is claimed at that moment the Add begins anew.
func TestCollect_Elsewhere(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for n, when := range []string{"storing", "verified", "claimed"} {
			paths := f.some(t, "people", int64(n)*100)
			o := ingest.AddOptions{Replace: true}
			f.interrupt(t, "acme/crm/people", o, paths...)
			f.age(t)
			g := f.again(t)
			g.Staging = t.TempDir()
			g.Ingester = ingest.New(g.Options)
			done, unclaim := false, func() {}
			collect := func(step string) {
				if step != when || done {
					return
				}
				if done = true; when == "claimed" {
					unclaim = g.claim(t)
				} else if got, _ := g.collect(t, ingest.CollectOptions{}); got.Objects.Count != 2 {
					t.Errorf("%s: the collector has met %+v, want two objects", when, got)
				}
			}
			f.FailAt(func(step string) error {
				collect(step)
				return nil
			})
			f.addWith(t, "acme/crm/people", o, paths, func() { collect("storing") })
			unclaim()
			if got := f.wantContents(t); got != (n+1)*len(paths) {
				t.Errorf("%s: %d files are registered, want %d", when, got, (n+1)*len(paths))
			}
			f.wantUnclaimed(t)
		}
	})
}

// claim claims the revision that has objects and is not known.
func (f *fixture) claim(t *testing.T) (unclaim func()) {
	t.Helper()
	job, err := f.Options.Data.StartJob(t.Context(), datastore.CollectorKind)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range f.stored(t) {
		id := uuid.MustParse(path.Base(path.Dir(key)))
		if known, err := f.Options.Data.Knows(t.Context(), id); err != nil || known {
			continue
		}
		to := datastore.Table{Dataset: dataset.ID{Namespace: "acme", Name: "crm"}, Name: "people"}
		claim, err := f.Options.Data.Claim(t.Context(), to, id, job)
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := errors.Join(f.Options.Data.Unclaim(t.Context(), claim, job), job.End(t.Context(), nil)); err != nil {
				t.Error(err)
			}
		}
	}
	t.Fatal("every revision is known")
	return nil
}

// TestCollect_Interrupted ends in the middle, and leaves no claim.
func TestCollect_Interrupted(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.abandon(t, "acme/crm/people", ingest.AddOptions{}, f.some(t, "people", 0)...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := f.Collect(ctx, ingest.CollectOptions{Before: toCome(), Report: func(ingest.Garbage) error {
			cancel()
			return nil
		}})
		if err == nil {
			t.Error("a collector whose context has ended succeeds")
		}
		f.wantUnclaimed(t)
		f.collect(t, ingest.CollectOptions{Before: toCome()})
		if got := f.stored(t); len(got) != 0 {
			t.Errorf("objects: %v, want none", got)
		}
	})
}
