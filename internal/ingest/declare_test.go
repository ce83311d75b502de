package ingest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
)

func TestIngester_PublishDeclares(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.publish(t, "acme/crm/people", one(f.stagePeople(t, "a.parquet", 1, 1)))
		f.publish(t, "acme/crm/photos", one(f.stage(t, "d/x", []byte("x"))))
		f.refuse(t, "acme/crm/fresh", one(f.stage(t, "no.parquet", []byte("no"))), fs.ErrInvalid)
		f.publish(t, "acme/crm/fresh", one(f.stagePeople(t, "b.parquet", 1, 1)))
		f.publish(t, "new/set/first", one(f.stagePeople(t, "c.parquet", 1, 1)))
		for _, name := range []string{"acme/crm/people", "acme/crm/photos", "acme/crm/fresh", "new/set/first"} {
			if got := f.active(t, name); len(got) != 1 {
				t.Errorf("%s: got %v, want one file", name, got)
			}
		}
		names, err := f.List(t.Context(), "acme", "crm")
		if diff := cmp.Diff([]string{"counted", "fresh", "people", "photos"}, names); err != nil || diff != "" {
			t.Errorf("List: %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestIngester_PublishDeclaresTogether declares several tables at once: none is lost.
func TestIngester_PublishDeclaresTogether(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var g errgroup.Group
		for n := range int64(3) {
			file := f.stagePeople(t, fmt.Sprintf("%d.parquet", n), n, 1)
			g.Go(func() error {
				_, err := f.Publish(t.Context(), f.tableOf(t, fmt.Sprintf("new/set/table%d", n)), one(file))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if got := f.active(t, fmt.Sprintf("new/set/table%d", n)); len(got) != 1 {
				t.Errorf("table%d: got %v, want its file", n, got)
			}
		}
	})
}

func TestIngester_Carry(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const to = "acme/crm/people"
		f.publish(t, to, one(f.stagePeople(t, "a.parquet", 1, 1)))
		before := f.active(t, to)
		data := []byte(strings.Replace(manifestJSON, `"kind": "dataset"`, `"kind": "dataset", "note": "2"`, 1))
		if _, err := f.Ingester.Register(t.Context(), dataset.Reference{ID: dataset.ID{Namespace: "acme", Name: "crm"}}, data); err != nil {
			t.Fatal(err)
		}
		if got := f.active(t, to); len(got) != 0 {
			t.Errorf("a newly linked manifest: got %v, want no files", got)
		}
		c, err := f.Carry(t.Context(), table(t, to), dataset.Selector{}, "me")
		if err != nil || c.Files != 1 {
			t.Errorf("Carry: got %+v, %v", c, err)
		}
		if diff := cmp.Diff(before, f.active(t, to)); diff != "" {
			t.Errorf("carried (-want +got):\n%s", diff)
		}
		if _, err := f.Carry(t.Context(), table(t, to), dataset.Selector{}, "me"); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("Carry to a table with files: got %v, want a conflict", err)
		}
		if _, err := f.Carry(t.Context(), table(t, "acme/crm/counted"), dataset.Selector{}, "me"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Carry without files: got %v, want fs.ErrNotExist", err)
		}
	})
}
