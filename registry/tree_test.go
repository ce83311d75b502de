package registry_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/registry"
)

func names(entries []registry.Entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

func TestRegistry_Datasets(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		want := func(ns dataset.Namespace, want ...string) {
			t.Helper()
			got, err := e.Datasets(t.Context(), ns)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, names(got)); diff != "" {
				t.Errorf("datasets of %q (-want +got):\n%s", ns, diff)
			}
		}
		wantNamespaces := func(want ...string) {
			t.Helper()
			got, err := e.Namespaces(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, names(got)); diff != "" {
				t.Errorf("namespaces (-want +got):\n%s", diff)
			}
		}
		want("")
		wantNamespaces()
		for _, id := range []dataset.ID{{Namespace: "a", Name: "y"}, {Namespace: "a", Name: "x_"}, {Namespace: "a", Name: "x-1"}, {Namespace: "_", Name: "x"}, {Namespace: "b", Name: "x"}} {
			e.link(t, id, 1)
		}
		want("", "_/x", "a/x-1", "a/x_", "a/y", "b/x")
		want("a", "x-1", "x_", "y")
		want("c")
		wantNamespaces("_", "a", "b")
		if err := e.Unlink(t.Context(), dataset.ID{Namespace: "b", Name: "x"}, dataset.HashOf(content(1))); err != nil {
			t.Fatal(err)
		}
		want("", "_/x", "a/x-1", "a/x_", "a/y")
		wantNamespaces("_", "a")
	})
}

// A directory's id stays, and its time rises with every change of what it lists.
func TestRegistry_Dataset(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.link(t, flights, 1), e.link(t, flights, 2)
		e.link(t, dataset.ID{Namespace: "aero", Name: "trains"}, 1)
		look := func() (ns, ds registry.Entry) {
			t.Helper()
			ns, err := e.Namespace(t.Context(), "aero")
			if err != nil {
				t.Fatal(err)
			}
			ds, err = e.Dataset(t.Context(), flights)
			if err != nil {
				t.Fatal(err)
			}
			if ns.Name != "aero" || ds.Name != "flights" {
				t.Errorf("got the names %q and %q", ns.Name, ds.Name)
			}
			listed, err := e.Datasets(t.Context(), "aero")
			if err != nil || len(listed) == 0 || listed[0] != ds {
				t.Errorf("listed as %+v, %v, want %+v first", listed, err, ds)
			}
			return ns, ds
		}
		ns, ds := look()
		if since := time.Since(ds.ModTime); since < -time.Minute || since > time.Minute {
			t.Errorf("got the time %s, want one that is now", ds.ModTime)
		}
		do := func(what string, changes bool, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			nsNow, dsNow := look()
			if nsNow.ID != ns.ID || dsNow.ID != ds.ID {
				t.Errorf("%s: the ids changed from %d and %d to %d and %d", what, ns.ID, ds.ID, nsNow.ID, dsNow.ID)
			}
			if rose := dsNow.ModTime.After(ds.ModTime); rose != changes || nsNow.ModTime.Before(dsNow.ModTime) {
				t.Errorf("%s: the dataset's time went from %s to %s, its namespace's to %s", what, ds.ModTime, dsNow.ModTime, nsNow.ModTime)
			}
			ns, ds = nsNow, dsNow
		}
		v := version(t, "1.0.0")
		do("set", true, e.set(t, v, a))
		do("set again", false, e.set(t, v, a))
		do("move", true, e.set(t, v, b))
		do("delete", true, e.DeleteTag(t.Context(), flights, v))
		do("delete again", false, e.DeleteTag(t.Context(), flights, v))
		do("unlink", true, e.Unlink(t.Context(), flights, b))
		do("link", true, e.Link(t.Context(), flights, b))
	})
}

func TestRegistry_Versions(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		a, b := e.link(t, flights, 1), e.link(t, flights, 2)
		e.tag(t, flights, "1.10.0", a)
		e.tag(t, flights, "1.9.0", b)
		all, err := e.Versions(t.Context(), flights)
		if err != nil {
			t.Fatal(err)
		}
		hashes := map[dataset.Hash]string{a: "a", b: "b"}
		var got []string
		for _, v := range all {
			got = append(got, describe(v.Tag, hashes))
			selector, err := dataset.ParseSelector(v.Tag.Name)
			if err != nil {
				t.Fatal(err)
			}
			e.wantVersion(t, selector, v)
			byHash := v
			byHash.Tag = registry.Tag{}
			e.wantVersion(t, dataset.SelectHash(v.Hash), byHash)
			info, err := e.Info(t.Context(), v.Hash)
			if err != nil || info != v.Manifest || v.Tag.Hash != v.Hash || v.LinkedAt.IsZero() {
				t.Errorf("got %+v, want the manifest %+v, %v", v, info, err)
			}
		}
		want := []string{"1.9.0=b", "1.10.0=a", "dev->b", "latest->1.10.0=a"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("versions (-want +got):\n%s", diff)
		}
		e.wantVersion(t, dataset.Selector{}, all[3])
	})
}

func (e env) wantVersion(t *testing.T, s dataset.Selector, want registry.Version) {
	t.Helper()
	got, err := e.Version(t.Context(), flights, s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("version %s (-want +got):\n%s", s, diff)
	}
}

// What the tree asks costs one query each, found or not.
func TestRegistry_OneQuery(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		h := e.link(t, flights, 1)
		for n := range 20 {
			e.link(t, dataset.ID{Namespace: "other", Name: dataset.Name(strings.Repeat("x", n+1))}, n)
		}
		e.tag(t, flights, "1.0.0", h)
		e.tag(t, flights, "1.1.0", h)
		trains := dataset.ID{Namespace: "sea", Name: "trains"}
		selectors := map[string]dataset.Selector{
			"none": {}, "latest": dataset.Latest, "dev": dataset.Dev,
			"version": dataset.SelectVersion(version(t, "1.0.0")), "hash": dataset.SelectHash(h),
		}
		asks := map[string]func(context.Context) error{
			"Namespaces":        func(ctx context.Context) error { return second(e.Namespaces(ctx)) },
			"Namespace":         func(ctx context.Context) error { return second(e.Namespace(ctx, "aero")) },
			"Namespace/missing": func(ctx context.Context) error { return second(e.Namespace(ctx, "sea")) },
			"Datasets":          func(ctx context.Context) error { return second(e.Datasets(ctx, "other")) },
			"Datasets/all":      func(ctx context.Context) error { return second(e.Datasets(ctx, "")) },
			"Dataset":           func(ctx context.Context) error { return second(e.Dataset(ctx, flights)) },
			"Dataset/missing":   func(ctx context.Context) error { return second(e.Dataset(ctx, trains)) },
			"Versions":          func(ctx context.Context) error { return second(e.Versions(ctx, flights)) },
			"Versions/missing":  func(ctx context.Context) error { return second(e.Versions(ctx, trains)) },
			"Links":             func(ctx context.Context) error { return second(e.Links(ctx, flights)) },
			"Links/missing":     func(ctx context.Context) error { return second(e.Links(ctx, trains)) },
		}
		for name, s := range selectors {
			asks["Version/"+name] = func(ctx context.Context) error { return second(e.Version(ctx, flights, s)) }
			asks["Version/"+name+"/missing"] = func(ctx context.Context) error { return second(e.Version(ctx, trains, s)) }
		}
		for name, ask := range asks {
			before := e.db.Queries()
			err := ask(t.Context())
			if got := e.db.Queries() - before; got != 1 {
				t.Errorf("%s: got %d queries, want 1", name, got)
			}
			if strings.HasSuffix(name, "missing") {
				wantError(t, err, fs.ErrNotExist)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
