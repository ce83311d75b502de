package ingest_test

import (
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/ingest"
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
