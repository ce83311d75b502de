package datastore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/datastore"
)

// model is what a tree should hold: contents by path.
type model map[string]string

// refuses tells whether a file cannot be at a path.
func (m model) refuses(path, content string) bool {
	for there, holds := range m {
		if there == path && holds != content || strings.HasPrefix(there, path+"/") || strings.HasPrefix(path, there+"/") {
			return true
		}
	}
	return false
}

func (m model) paths() []string {
	paths := []string{}
	for p := range m {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// TestStore_Append_Model holds that what is remembered of directories changes no verdict: random files are added and taken
// back in transactions that succeed or fail, while others write to the revision between them.
func TestStore_Append_Model(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const seed = 11
		random := rand.New(rand.NewPCG(seed, seed))
		path := func() string {
			names := []string{"a", "b", "c"}
			p := names[random.IntN(3)]
			for random.IntN(3) > 0 && len(p) < 6 {
				p += "/" + names[random.IntN(3)]
			}
			return p
		}
		rev := f.create(t, datastore.CreateOptions{})
		other := f.again(t, datastore.Options{})
		there := model{}
		refused, later := 0, 0
		for round := range 60 {
			if round%4 == 0 { // so that much is allowed again
				rev, there = f.create(t, datastore.CreateOptions{}), model{}
			}
			now := model{}
			var failed error
			err := f.Append(t.Context(), rev, datastore.AppendOptions{RegisterOptions: tree}, func(a *datastore.Appending) error {
				now = model{}
				for p, c := range there {
					now[p] = c
				}
				for range 1 + random.IntN(30) {
					p, c := path(), fmt.Sprint(random.IntN(3))
					_, had := now[p]
					wrong := now.refuses(p, c)
					r, err := a.Add(t.Context(), treeFile(p, c))
					if wrong != errors.Is(err, fs.ErrExist) || !wrong && err != nil {
						t.Fatalf("round %d: add %s with %s to %v: %v", round, p, c, now, err)
					}
					if wrong {
						refused++
						continue
					}
					if r.Name != p || r.Existing != had || r.ID == 0 {
						t.Fatalf("round %d: add %s with %s to %v: got %+v", round, p, c, now, r)
					}
					now[p] = c
					if random.IntN(12) == 0 {
						if err := a.Remove(t.Context(), r.ID); err != nil {
							return err
						}
						delete(now, p)
					}
					later += a.Waiting()
				}
				if random.IntN(5) == 0 {
					failed = errors.New("given up")
				}
				return failed
			})
			if !errors.Is(err, failed) {
				t.Fatalf("round %d: %v", round, err)
			}
			if failed == nil {
				there = now
			}
			if p, c := path(), "of another"; random.IntN(3) == 0 && !there.refuses(p, c) {
				other.register(t, rev, tree, treeFile(p, c))
				there[p] = c
			}
			wantEqual(t, fmt.Sprintf("files after round %d", round), there.paths(), f.allPaths(t, rev.ID))
			wantEqual(t, "nothing without its directory", []string(nil), f.outside(t))
		}
		if refused == 0 || later == 0 {
			t.Errorf("%d files were refused and %d were waiting, want some of both", refused, later)
		}
	})
}

// allPaths are those of all files of a tree.
func (f *fixture) allPaths(t *testing.T, location int64) []string {
	t.Helper()
	paths := []string{}
	dirs := []string{""}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		for _, p := range f.paths(t, location, dir) {
			if below, ok := strings.CutSuffix(p, "/"); ok {
				dirs = append(dirs, below)
			} else {
				paths = append(paths, p)
			}
		}
	}
	slices.Sort(paths)
	return paths
}

// TestStore_Append_Large holds that directories which are too large to be remembered are judged all the same.
func TestStore_Append_Large(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		const many = 5000
		rev := f.create(t, datastore.CreateOptions{})
		var large []datastore.NewFile
		for n := range many {
			large = append(large, treeFile(fmt.Sprintf("large/%04d", n), "old"))
		}
		f.register(t, rev, tree, large...)
		for range 2 {
			f.appendTree(t, rev, func(a *datastore.Appending) error {
				for n := range many {
					if _, err := a.Add(t.Context(), treeFile(fmt.Sprintf("new/%04d", n), "new")); err != nil {
						return err
					}
				}
				for n := many - 3; n < many+3; n++ {
					_, err := a.Add(t.Context(), treeFile(fmt.Sprintf("large/%04d", n), "new"))
					wantEqual(t, fmt.Sprintf("large/%04d is refused", n), n < many, errors.Is(err, fs.ErrExist))
				}
				_, err := a.Add(t.Context(), treeFile("new/0000", "other"))
				wantErr(t, "other content", err, fs.ErrExist)
				return a.Err()
			})
		}
		wantEqual(t, "files in new", many, len(f.paths(t, rev.ID, "new")))
		wantEqual(t, "files in large", many+3, len(f.paths(t, rev.ID, "large")))
	})
}

// TestStore_Append_Queries holds what it is for: a file in a directory that was made or read before asks nothing.
func TestStore_Append_Queries(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		f.register(t, rev, tree, treeFile("old/1", "1"))
		for n, dir := range []string{"new", "new", "old", ""} {
			f.appendTree(t, rev, func(a *datastore.Appending) error {
				var before int64
				for i := range 30 {
					if _, err := a.Add(t.Context(), treeFile(strings.TrimPrefix(fmt.Sprintf("%s/%d-%d", dir, n, i), "/"), "x")); err != nil {
						return err
					}
					if i == 2 {
						before = f.db.Queries()
					}
				}
				if asked := f.db.Queries() - before; asked != 0 {
					t.Errorf("%d queries for 27 files in %q", asked, dir)
				}
				return nil
			})
		}
	})
}
