package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects"
)

// interrupt begins an Add and ends it when two files are done.
func (f *fixture) interrupt(t *testing.T, to string, o ingest.AddOptions, paths ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Workers, o.Progress = 1, cancelAfter(cancel, 2)
	if _, err := f.Add(ctx, table(t, to), paths, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("an interrupted Add: got %v, want context.Canceled", err)
	}
}

// written are the keys of all parquet objects with the times at which they were written.
func (f *fixture) written(t *testing.T) map[string]time.Time {
	t.Helper()
	times := make(map[string]time.Time)
	for _, key := range f.stored(t) {
		o, err := f.Options.Objects.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		times[key] = o.ModTime
	}
	return times
}

func TestAdd_Resume(t *testing.T) {
	stores := map[string]func(*testing.T) string{
		"directory": func(t *testing.T) string { return "file://" + t.TempDir() },
		"bucket":    func(*testing.T) string { return "mem://" },
	}
	for store, objectsURL := range stores {
		for _, to := range []string{"acme/crm/people", "acme/crm/counted"} {
			for _, mode := range []string{"first", "append", "replace"} {
				t.Run(path.Join(store, path.Base(to), mode), func(t *testing.T) {
					f := newFixture(t, metadbtest.SQLite(t), objectsURL(t))
					testResume(t, f, to, mode)
				})
			}
		}
	}
}

func testResume(t *testing.T, f *fixture, to, mode string) {
	var before []string
	if mode != "first" {
		f.add(t, to, ingest.AddOptions{}, f.people(t, "0.parquet", 0, 1))
		before = f.active(t, to)
	}
	var paths []string
	for n := range int64(4) {
		paths = append(paths, f.people(t, fmt.Sprintf("%d.parquet", n+1), n+1, n+1))
	}
	o := ingest.AddOptions{Replace: mode == "replace"}
	f.interrupt(t, to, o, paths...)
	if diff := cmp.Diff(before, f.active(t, to), emptyIsNil); diff != "" {
		t.Fatalf("an interrupted Add shows files (-want +got):\n%s", diff)
	}
	kept := f.written(t)
	if len(kept) < len(before)+2 {
		t.Fatalf("an interrupted Add left %v, want the two files that were done", kept)
	}
	f.add(t, to, o, paths...)
	now := f.written(t)
	for key, at := range kept {
		if !now[key].Equal(at) {
			t.Errorf("%s was written again", key)
		}
	}
	want := 4
	if mode == "append" {
		want += len(before)
	}
	if got := f.active(t, to); len(got) != want {
		t.Errorf("active: got %v, want %d files", got, want)
	}
	if rev, _ := f.revision(t, to); len(f.below(t, rev.Path)) != want {
		t.Errorf("objects of the revision: got %v, want %d", f.below(t, rev.Path), want)
	}
	if got := f.leftInStaging(t); len(got) != 0 {
		t.Errorf("staging holds %v", got)
	}
}

var emptyIsNil = cmp.Transformer("empty", func(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
})

// below are the parquet objects below a path.
func (f *fixture) below(t *testing.T, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(f.stored(t), func(key string) bool { return path.Dir(key)+"/" != dir })
}

// TestAdd_ResumeOthers goes on with other files than those of the Add that was interrupted.
func TestAdd_ResumeOthers(t *testing.T) {
	f := local(t)
	one, two, three := f.people(t, "1.parquet", 1, 1), f.people(t, "2.parquet", 2, 1), f.people(t, "3.parquet", 3, 1)
	f.interrupt(t, "acme/crm/people", ingest.AddOptions{}, one, two, three)
	r := f.add(t, "acme/crm/people", ingest.AddOptions{}, two)
	if got := f.stored(t); len(got) != 1 || path.Base(got[0]) != r.Files[0].Name {
		t.Errorf("objects: got %v, want only those that have a row", got)
	}
}

// TestAdd_Killed kills a process in the middle of an Add, and adds again.
func TestAdd_Killed(t *testing.T) {
	f := local(t)
	var paths []string
	for n := range int64(5) {
		paths = append(paths, f.people(t, fmt.Sprintf("%d.parquet", n), n*10, n+1))
	}
	objectsURL := "file://" + f.dir
	cmd := exec.Command(os.Args[0], append([]string{"-test.run=^TestVictim$", f.url, objectsURL, f.Staging}, paths...)...)
	cmd.Env = append(os.Environ(), "ANNEXFS_TEST_VICTIM=1")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
		t.Fatalf("the victim was not killed: %v\n%s", err, out)
	}
	if got := f.active(t, "acme/crm/people"); len(got) != 0 {
		t.Fatalf("a killed Add shows %v", got)
	}
	kept := f.written(t)
	if len(kept) == 0 {
		t.Fatal("the victim has stored nothing")
	}
	f.add(t, "acme/crm/people", ingest.AddOptions{}, paths...)
	if got := f.active(t, "acme/crm/people"); len(got) != len(paths) || len(f.stored(t)) != len(paths) {
		t.Errorf("active: got %v, objects %v; want %d", got, f.stored(t), len(paths))
	}
	for key, at := range kept {
		if !f.written(t)[key].Equal(at) {
			t.Errorf("%s was written again", key)
		}
	}
}

// TestVictim is no test but the process that TestAdd_Killed kills: by its own hand, when two files are done.
func TestVictim(t *testing.T) {
	if os.Getenv("ANNEXFS_TEST_VICTIM") == "" {
		return
	}
	args := os.Args[len(os.Args)-8:]
	store, err := objects.Open(t.Context(), args[1])
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{url: args[0], Options: ingest.Options{Objects: store, Staging: args[2]}}
	f.open(t)
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	_, err = f.Add(t.Context(), table(t, "acme/crm/people"), args[3:], ingest.AddOptions{Workers: 1, Progress: func(p ingest.Progress) {
		if p.Files == 2 {
			once.Do(func() { _ = self.Kill() })
			select {}
		}
	}})
	t.Fatalf("still alive: %v", err)
}
