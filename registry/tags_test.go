package registry_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// head is the number of the last publishing transaction.
func (e env) head(t *testing.T) int64 {
	t.Helper()
	head, err := e.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// latest always denotes what the highest version denotes, whatever was set last.
func TestRegistry_SetTag_Latest(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.link(t, flights, 1), e.link(t, flights, 2)
		names := map[dataset.Hash]string{a: "a", b: "b"}
		for _, step := range []struct {
			what, version string
			hash          dataset.Hash
			latest        string
		}{
			{"pre-release counts", "0.1.0-alpha", a, "latest->0.1.0-alpha=a"},
			{"numbers are no text", "0.1.0-alpha.2", b, "latest->0.1.0-alpha.2=b"},
			{"numbers are no text", "0.1.0-alpha.10", a, "latest->0.1.0-alpha.10=a"},
			{"a release is above its pre-releases", "0.1.0", b, "latest->0.1.0=b"},
			{"lower", "0.0.9", a, "latest->0.1.0=b"},
			{"pre-release of a higher", "0.2.0-rc.1", a, "latest->0.2.0-rc.1=a"},
			{"numbers are no text", "0.10.0", b, "latest->0.10.0=b"},
			{"numbers are no text", "0.9.0", a, "latest->0.10.0=b"},
			{"equal but for the build", "0.10.0+b", a, "latest->0.10.0+b=a"},
			{"lower build", "0.10.0+a", b, "latest->0.10.0+b=a"},
			{"moved", "0.10.0+b", b, "latest->0.10.0+b=b"},
			{"lower one moved", "0.1.0", a, "latest->0.10.0+b=b"},
		} {
			e.tag(t, flights, step.version, step.hash)
			if got := describe(e.row(t, flights, "latest"), names); got != step.latest {
				t.Errorf("after %s (%s): got %s, want %s", step.version, step.what, got, step.latest)
			}
		}
		e.wantTags(t, flights, names,
			"0.0.9=a", "0.1.0-alpha=a", "0.1.0-alpha.2=b", "0.1.0-alpha.10=a", "0.1.0=a", "0.2.0-rc.1=a",
			"0.9.0=a", "0.10.0=b", "0.10.0+a=b", "0.10.0+b=b", "dev->b", "latest->0.10.0+b=b")
	})
}

func TestRegistry_DeleteTag(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.link(t, flights, 1), e.link(t, flights, 2)
		names := map[dataset.Hash]string{a: "a", b: "b"}
		e.tag(t, flights, "1.0.0", a)
		e.tag(t, flights, "1.0.1", b)
		e.tag(t, flights, "1.0.2", a)
		remove := func(v string) {
			t.Helper()
			for range 2 {
				if err := e.DeleteTag(t.Context(), flights, version(t, v)); err != nil {
					t.Fatal(err)
				}
			}
		}
		// 1.0.0 denotes the same manifest and stays.
		remove("1.0.2")
		e.wantTags(t, flights, names, "1.0.0=a", "1.0.1=b", "dev->b", "latest->1.0.1=b")
		latest := e.row(t, flights, "latest")
		remove("1.0.0")
		e.wantTags(t, flights, names, "1.0.1=b", "dev->b", "latest->1.0.1=b")
		if got := e.row(t, flights, "latest"); got != latest {
			t.Errorf("latest was not concerned and is another row: got %+v, want %+v", got, latest)
		}
		remove("1.0.1")
		e.wantTags(t, flights, names, "dev->b")
	})
}

func TestRegistry_DeleteTag_Unknown(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		if err := e.DeleteTag(t.Context(), flights, version(t, "1.0.0")); err != nil {
			t.Errorf("of an unknown dataset: %v", err)
		}
		h := e.link(t, flights, 1)
		e.tag(t, flights, "1.0.0+a", h)
		changes := e.head(t)
		if err := e.DeleteTag(t.Context(), flights, version(t, "1.0.0")); err != nil {
			t.Errorf("of a known one: %v", err)
		}
		e.wantTags(t, flights, map[dataset.Hash]string{h: "a"}, "1.0.0+a=a", "dev->a", "latest->1.0.0+a=a")
		if got := e.head(t); got != changes {
			t.Errorf("got %d publishing transactions, want %d", got, changes)
		}
	})
}

func TestRegistry_SetTag_Move(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.link(t, flights, 1), e.link(t, flights, 2)
		names := map[dataset.Hash]string{a: "a", b: "b"}
		v := version(t, "1.0.0")
		set := func(h dataset.Hash, force bool, want dataset.Hash) {
			t.Helper()
			moved, err := e.SetTag(t.Context(), flights, v, h, force)
			if err != nil || moved != want {
				t.Errorf("set to %s, force=%t: got %s, %v, want %s", names[h], force, moved, err, want)
			}
		}
		set(a, false, dataset.Hash{})
		tag, latest := e.row(t, flights, "1.0.0"), e.row(t, flights, "latest")
		set(a, false, dataset.Hash{})
		set(a, true, dataset.Hash{})
		if e.row(t, flights, "1.0.0") != tag || e.row(t, flights, "latest") != latest {
			t.Error("setting a version to what it denotes already changed a row")
		}
		moved, err := e.SetTag(t.Context(), flights, v, b, false)
		wantError(t, err, fault.ErrConflict)
		if !moved.IsZero() || err == nil || !strings.Contains(err.Error(), a.String()) {
			t.Errorf("got %s, %v, want nothing moved and what the version denotes", moved, err)
		}
		e.wantTags(t, flights, names, "1.0.0=a", "dev->b", "latest->1.0.0=a")
		set(b, true, a)
		e.wantTags(t, flights, names, "1.0.0=b", "dev->b", "latest->1.0.0=b")
		if got := e.row(t, flights, "1.0.0"); got.ID != tag.ID || got.CreatedAt != tag.CreatedAt || got.UpdatedAt.Before(tag.UpdatedAt) {
			t.Errorf("a moved version keeps its row: got %+v, want that of %+v", got, tag)
		}
		if got := e.row(t, flights, "latest"); got.ID == latest.ID {
			t.Error("latest moved and kept its id")
		}
	})
}

// A latest or dev that moves gets an id that no tag had before, also one that comes back to where it was.
func TestRegistry_SetTag_NewIDs(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.link(t, flights, 1)
		seen := map[int64]string{}
		for n, v := range []string{"1.0.0", "1.0.1", "1.0.2", "1.0.3"} {
			e.link(t, flights, 1+n%2)
			e.tag(t, flights, v, h)
			latest := e.row(t, flights, "latest")
			if other, ok := seen[latest.ID]; ok || latest.Target != v {
				t.Errorf("got latest %+v after %s; its id was that of latest -> %q", latest, v, other)
			}
			seen[latest.ID] = latest.Target
			if err := e.DeleteTag(t.Context(), flights, version(t, v)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRegistry_SetTag_NotLinked(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		v, h := version(t, "1.0.0"), e.register(t, 1)
		set := func(h dataset.Hash) error {
			_, err := e.SetTag(t.Context(), flights, v, h, true)
			return err
		}
		wantError(t, set(h), fs.ErrNotExist) // no such dataset
		e.link(t, flights, 2)
		e.link(t, dataset.ID{Namespace: "other", Name: "flights"}, 1)
		wantError(t, set(h), fs.ErrNotExist)                          // linked, but to another dataset
		wantError(t, set(dataset.HashOf(content(3))), fs.ErrNotExist) // not registered
		if tags, err := e.Tags(t.Context(), flights); err != nil || len(tags) != 1 {
			t.Errorf("got the tags %+v, %v, want dev only", tags, err)
		}
	})
}

// latest and dev have no version by which they could be set or deleted.
func TestRegistry_SetTag_ByHand(t *testing.T) {
	for _, name := range []string{"latest", "dev"} {
		_, err := dataset.ParseVersion(name)
		wantError(t, err, fs.ErrInvalid)
	}
}

// What is recorded for followers is one change for each tag and link that changed.
func TestRegistry_Changes(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.register(t, 1), e.register(t, 2)
		names := map[string]string{a.String(): "a", b.String(): "b", "": "-"}
		v1, v2 := version(t, "1.0.0"), version(t, "2.0.0")
		for _, step := range []struct {
			what string
			do   func() error
			want []string
		}{
			{"register", func() error { e.register(t, 3); return nil }, nil},
			{"link", func() error { return e.Link(t.Context(), flights, a) }, []string{"link a", "dev a"}},
			{"link another", func() error { return e.Link(t.Context(), flights, b) }, []string{"link b", "dev b"}},
			{"tag", func() error { return e.set(t, v1, a) }, []string{"1.0.0 a", "latest a"}},
			{"tag higher", func() error { return e.set(t, v2, b) }, []string{"2.0.0 b", "latest b"}},
			{"move lower", func() error { return e.set(t, v1, b) }, []string{"1.0.0 b"}},
			{"move highest", func() error { return e.set(t, v2, a) }, []string{"2.0.0 a", "latest a"}},
			{"unlink", func() error { return e.Unlink(t.Context(), flights, a) }, []string{"unlink a", "2.0.0 -", "latest b"}},
			{"delete tag", func() error { return e.DeleteTag(t.Context(), flights, v1) }, []string{"1.0.0 -", "latest -"}},
			{"unlink last", func() error { return e.Unlink(t.Context(), flights, b) }, []string{"unlink b", "dev -"}},
			{"unlink again", func() error { return e.Unlink(t.Context(), flights, b) }, nil},
		} {
			before := e.head(t)
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range changesAfter(t, e.db, before) {
				if c.Namespace != "aero" || c.Name != "flights" {
					t.Errorf("%s: a change of another dataset: %+v", step.what, c)
				}
				got = append(got, changeName(c)+" "+names[c.Hash])
			}
			if diff := cmp.Diff(step.want, got, sorted); diff != "" {
				t.Errorf("changes of %s (-want +got):\n%s", step.what, diff)
			}
		}
	})
}

func (e env) set(t *testing.T, v dataset.Version, h dataset.Hash) error {
	_, err := e.SetTag(t.Context(), flights, v, h, true)
	return err
}

func changeName(c metadb.Change) string {
	switch c.Kind {
	case metadb.ChangeLink:
		return "link"
	case metadb.ChangeUnlink:
		return "unlink"
	case metadb.ChangeTag:
		return c.Version
	}
	return "unexpected kind of change"
}
