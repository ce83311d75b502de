package registry_test

import (
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
)

func TestRegistry_Link(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a := e.link(t, flights, 1)
		names := map[dataset.Hash]string{a: "a"}
		e.wantTags(t, flights, names, "dev->a")
		b := e.link(t, flights, 2)
		names[b] = "b"
		e.wantTags(t, flights, names, "dev->b")
		// A repeated link of an older manifest sets dev too, and makes it the one linked last.
		e.link(t, flights, 1)
		e.wantTags(t, flights, names, "dev->a")
		e.wantLinks(t, flights, b, a)
	})
}

func (e env) wantLinks(t *testing.T, id dataset.ID, want ...dataset.Hash) {
	t.Helper()
	links, err := e.Links(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var got []dataset.Hash
	for i, l := range links {
		got = append(got, l.Hash)
		if l.LinkedAt.IsZero() || i > 0 && l.No <= links[i-1].No {
			t.Errorf("links %+v: no times, or numbers that do not rise", links)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("links of %s (-want +got):\n%s", id, diff)
	}
}

func TestRegistry_Link_AgainChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		e.link(t, flights, 1)
		dev, changes := e.row(t, flights, "dev"), e.head(t)
		e.link(t, flights, 1)
		if got := e.row(t, flights, "dev"); got != dev {
			t.Errorf("got dev %+v, want the same row %+v", got, dev)
		}
		if got := e.head(t); got != changes {
			t.Errorf("got %d publishing transactions, want %d", got, changes)
		}
	})
}

func TestRegistry_Link_NotRegistered(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		wantError(t, e.Link(t.Context(), flights, dataset.HashOf(content(1))), fs.ErrNotExist)
		// Nothing remains of the dataset that it would have made.
		_, err := e.Dataset(t.Context(), flights)
		wantError(t, err, fs.ErrNotExist)
	})
}

func TestRegistry_Unlink(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b, c := e.link(t, flights, 1), e.link(t, flights, 2), e.link(t, flights, 3)
		names := map[dataset.Hash]string{a: "a", b: "b", c: "c"}
		e.tag(t, flights, "1.0.0", a)
		e.tag(t, flights, "1.1.0", c)
		e.tag(t, flights, "1.1.1", b)
		e.tag(t, flights, "2.0.0", c)
		e.link(t, flights, 1)
		e.wantTags(t, flights, names, "1.0.0=a", "1.1.0=c", "1.1.1=b", "2.0.0=c", "dev->a", "latest->2.0.0=c")
		unlink := func(h dataset.Hash) {
			t.Helper()
			for range 2 {
				if err := e.Unlink(t.Context(), flights, h); err != nil {
					t.Fatal(err)
				}
			}
		}
		dev := e.row(t, flights, "dev")
		unlink(c)
		e.wantTags(t, flights, names, "1.0.0=a", "1.1.1=b", "dev->a", "latest->1.1.1=b")
		if got := e.row(t, flights, "dev"); got != dev {
			t.Errorf("dev was not concerned and is another row: got %+v, want %+v", got, dev)
		}
		// dev goes to the one linked last among those that remain.
		unlink(a)
		e.wantTags(t, flights, names, "1.1.1=b", "dev->b", "latest->1.1.1=b")
		e.wantLinks(t, flights, b)
		unlink(b)
		_, err := e.Tags(t.Context(), flights)
		wantError(t, err, fs.ErrNotExist)
		_, err = e.Links(t.Context(), flights)
		wantError(t, err, fs.ErrNotExist)
	})
}

func TestRegistry_Unlink_Unknown(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		if err := e.Unlink(t.Context(), flights, dataset.HashOf(content(1))); err != nil {
			t.Errorf("unlink in an unknown dataset: %v", err)
		}
		h := e.link(t, flights, 1)
		other := dataset.ID{Namespace: "aero", Name: "other"}
		e.link(t, other, 2)
		if err := e.Unlink(t.Context(), other, h); err != nil {
			t.Errorf("unlink what another dataset links: %v", err)
		}
		e.wantLinks(t, flights, h)
	})
}

// One manifest may be of many datasets, and each has its own links and tags of it.
func TestRegistry_Link_ManyDatasets(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		other := dataset.ID{Namespace: "other", Name: "flights"}
		h := e.link(t, flights, 1)
		e.link(t, other, 1)
		names := map[dataset.Hash]string{h: "a"}
		e.tag(t, flights, "1.0.0", h)
		e.tag(t, other, "0.1.0", h)
		if err := e.Unlink(t.Context(), flights, h); err != nil {
			t.Fatal(err)
		}
		e.wantTags(t, other, names, "0.1.0=a", "dev->a", "latest->0.1.0=a")
	})
}
