package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

func TestMain(m *testing.M) {
	if os.Getenv(workerEnv) != "" {
		os.Exit(workerMain())
	}
	metadbtest.Main(m)
}

// env is one registry over a database and a directory of its own.
type env struct {
	*registry.Registry
	db         *metadb.DB
	store      *objects.Store
	dbURL, dir string
}

// each runs the test on a registry over each kind of database.
func each(t *testing.T, fn func(*testing.T, env)) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		db, store, err := open(t.Context(), url, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(db.Close(), store.Close()); err != nil {
				t.Error(err)
			}
		})
		fn(t, env{Registry: registry.New(db, store), db: db, store: store, dbURL: url, dir: dir})
	})
}

// open opens what a registry is made of, also in another process than the test's.
func open(ctx context.Context, dbURL, dir string) (*metadb.DB, *objects.Store, error) {
	db, err := metadb.Open(ctx, dbURL, metadb.Options{})
	if err != nil {
		return nil, nil, err
	}
	store, err := objects.Open(ctx, "file://"+dir)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, store, nil
}

// content is the n-th manifest.
func content(n int) []byte { return fmt.Appendf(nil, `{"kind":"test","n":%d}`, n) }

// register registers the n-th manifest.
func (e env) register(t *testing.T, n int) dataset.Hash {
	t.Helper()
	h, err := e.Register(t.Context(), "test", content(n))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// link registers the n-th manifest and links it.
func (e env) link(t *testing.T, id dataset.ID, n int) dataset.Hash {
	t.Helper()
	h := e.register(t, n)
	if err := e.Link(t.Context(), id, h); err != nil {
		t.Fatal(err)
	}
	return h
}

// tag sets a version, by force.
func (e env) tag(t *testing.T, id dataset.ID, v string, h dataset.Hash) {
	t.Helper()
	if _, err := e.SetTag(t.Context(), id, version(t, v), h, true); err != nil {
		t.Fatal(err)
	}
}

// wantTags compares the tags, written "name target hash" with the hash named as in names.
func (e env) wantTags(t *testing.T, id dataset.ID, names map[dataset.Hash]string, want ...string) {
	t.Helper()
	tags, err := e.Tags(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tag := range tags {
		got = append(got, describe(tag, names))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tags of %s (-want +got):\n%s", id, diff)
	}
}

// describe writes a tag as "1.0.0=a", "latest->1.0.0=a" or "dev->a".
func describe(tag registry.Tag, names map[dataset.Hash]string) string {
	switch tag.Name {
	case "latest":
		return "latest->" + tag.Target + "=" + names[tag.Hash]
	case "dev":
		if tag.Target != tag.Hash.String() {
			return "dev of " + names[tag.Hash] + " with the target " + tag.Target
		}
		return "dev->" + names[tag.Hash]
	}
	return tag.Name + tag.Target + "=" + names[tag.Hash]
}

// row returns the tag of that name.
func (e env) row(t *testing.T, id dataset.ID, name string) registry.Tag {
	t.Helper()
	tags, err := e.Tags(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if tag.Name == name {
			return tag
		}
	}
	t.Fatalf("%s has no tag %s", id, name)
	return registry.Tag{}
}

func version(t *testing.T, s string) dataset.Version {
	t.Helper()
	v, err := dataset.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantError(t *testing.T, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got the error %v, want one that is %v", err, kind)
	}
}

var flights = dataset.ID{Namespace: "aero", Name: "flights"}
