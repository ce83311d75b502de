package ingest_test

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
)

// TestAdd_Concurrent has several programs add overlapping files to a table that has no revision yet.
func TestAdd_Concurrent(t *testing.T) {
	const programs, each1 = 4, 3
	each(t, func(t *testing.T, f *fixture) {
		var g errgroup.Group
		all := f.people(t, "shared.parquet", 1000, 3)
		for n := range programs {
			p := f.again(t)
			p.Staging = t.TempDir() // as if it were another machine
			p.Ingester = ingest.New(p.Options)
			paths := []string{all}
			for m := range each1 {
				paths = append(paths, f.people(t, fmt.Sprintf("%d/%d.parquet", n, m), int64(n*100+m), 1))
			}
			ref := table(t, "acme/crm/people")
			g.Go(func() error {
				_, err := p.Add(t.Context(), ref, paths, ingest.AddOptions{})
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		names := f.active(t, "acme/crm/people")
		if got, want := len(names), programs*each1+1; got != want {
			t.Errorf("active: got %d files, want %d", got, want)
		}
		rev, _ := f.revision(t, "acme/crm/people")
		var objects []string
		for _, key := range f.stored(t) {
			if path.Dir(key)+"/" != rev.Path {
				t.Errorf("%s lies outside the revision", key)
			}
			objects = append(objects, path.Base(key))
		}
		slices.Sort(objects)
		if diff := cmp.Diff(names, objects); diff != "" {
			t.Errorf("objects (-rows +objects):\n%s", diff)
		}
	})
}

// TestAdd_Moved activates another revision while an Add to the former one stores its files.
func TestAdd_Moved(t *testing.T) {
	f := local(t)
	first := f.add(t, "acme/crm/people", ingest.AddOptions{}, f.people(t, "1.parquet", 1, 1))
	g, two := f.again(t), f.people(t, "2.parquet", 2, 1)
	three, done := f.people(t, "3.parquet", 3, 1), false
	r, err := f.Add(t.Context(), table(t, "acme/crm/people"), []string{two}, ingest.AddOptions{Progress: func(p ingest.Progress) {
		if p.Files == 1 && !done {
			done = true
			g.add(t, "acme/crm/people", ingest.AddOptions{Replace: true}, three)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision.ID == first.Revision.ID {
		t.Error("the files were added to a revision that is not active")
	}
	if got := f.active(t, "acme/crm/people"); len(got) != 2 {
		t.Errorf("active: got %v, want what replaced the table and what was added", got)
	}
	if got := f.below(t, first.Revision.Path); len(got) != 1 {
		t.Errorf("objects of the former revision: got %v, want the first alone", got)
	}
}

// What was looked up a moment ago is believed only while it is true: somebody else replaces the content, and links another
// manifest, right between two files.
func TestIngester_PublishMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/photos"
		f.publish(t, to, one(f.stage(t, "a", []byte("a"))))
		f.publish(t, to, one(f.stage(t, "b", []byte("b"))))
		g := f.again(t)
		g.add(t, to, ingest.AddOptions{Replace: true}, f.write(t, "only/c", []byte("c")))
		f.publish(t, to, one(f.stage(t, "a", []byte("another a"))))
		if diff := cmp.Diff([]string{"a", "c"}, f.active(t, to)); diff != "" {
			t.Errorf("active after another replaced it (-want +got):\n%s", diff)
		}
		m, err := manifest.Parse([]byte(strings.Replace(manifestJSON, `"place"`, `"town"`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		h, err := g.Options.Registry.Register(t.Context(), "dataset", m.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Options.Registry.Link(t.Context(), dataset.ID{Namespace: "acme", Name: "crm"}, h); err != nil {
			t.Fatal(err)
		}
		p := f.publish(t, to, one(f.stage(t, "2026/lyon/a", []byte("a"))))
		if diff := cmp.Diff([]string{"2026/lyon/a"}, f.active(t, to)); diff != "" {
			t.Errorf("active after another linked a manifest (-want +got):\n%s", diff)
		}
		row, err := f.Options.Data.File(t.Context(), p[0].ID)
		if err != nil || row.Statistics.Keys["town"] != "lyon" {
			t.Errorf("key columns: got %v, %v, want those of the new manifest", row.Statistics.Keys, err)
		}
	})
}

// TestIngester_PublishShared has a writer take back what another one was told is his, before that is answered.
func TestIngester_PublishShared(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/photos"
		p := f.publish(t, to, one(f.stage(t, "x", []byte("both have it"))))
		next := f.stage(t, "first/x", []byte("the first corrects it"))
		next.Name, next.Replaces = "x", p[0]
		asked := false
		f.FailAt(func(step string) error {
			if step == "registered" && !asked {
				asked = true
				f.refuse(t, to, one(next), fs.ErrExist)
			}
			return nil
		})
		second := f.publish(t, to, one(f.stage(t, "x", []byte("both have it"))))
		if !asked || second[0] != p[0] {
			t.Errorf("the second writer: got %v, asked in between %v, want %v", second, asked, p)
		}
		row, err := f.Options.Data.File(t.Context(), p[0].ID)
		if err != nil || row.Path != "x" {
			t.Errorf("the row of both: got %v, %v", row.Path, err)
		}
	})
}

func TestIngester_PublishLocked(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/people"
		f.publish(t, to, one(f.stagePeople(t, "a.parquet", 1, 1)))
		if err := f.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		rev, _ := f.revision(t, to)
		job, err := f.Options.Data.StartJob(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Options.Data.Lock(t.Context(), rev.ID, job); err != nil {
			t.Fatal(err)
		}
		b := one(f.stagePeople(t, "b.parquet", 2, 1))
		f.refuse(t, to, b, fault.ErrConflict)
		if err := job.End(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.publish(t, to, b)
	})
}

func TestIngester_PublishConcurrent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/counted"
		var g errgroup.Group
		for n := range int64(16) {
			file := f.stagePeople(t, fmt.Sprintf("%d.parquet", n), n/2, 1) // each content twice
			g.Go(func() error {
				_, err := f.Publish(t.Context(), f.tableOf(t, to), one(file))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := f.active(t, to); len(got) != 8 {
			t.Errorf("active: got %v, want eight files", got)
		}
		f.wantNothingLeft(t)
	})
}
