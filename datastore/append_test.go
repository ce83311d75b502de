package datastore_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// appendTree appends to a tree and must succeed.
func (f *fixture) appendTree(t *testing.T, rev datastore.Revision, fn func(*datastore.Appending) error) {
	t.Helper()
	o := datastore.AppendOptions{RegisterOptions: datastore.RegisterOptions{Tree: true}}
	if err := f.Append(t.Context(), rev, o, fn); err != nil {
		t.Fatal(err)
	}
}

// TestStore_Append holds that each file is judged by what the transaction has added before, that what was taken back is
// gone with its directories, and that the rest is there, told in one change.
func TestStore_Append(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		f.register(t, rev, datastore.RegisterOptions{Tree: true}, treeFile("old/a", "a"))
		before := len(f.changes(t))
		var ids []int64
		f.appendTree(t, rev, func(a *datastore.Appending) error {
			add := func(path, content string) datastore.Registered {
				t.Helper()
				r, err := a.Add(t.Context(), treeFile(path, content))
				if err != nil {
					t.Errorf("Add %s: %v", path, err)
				}
				return r
			}
			refuse := func(path, content string) {
				t.Helper()
				_, err := a.Add(t.Context(), treeFile(path, content))
				wantErr(t, "Add "+path, err, fs.ErrExist)
			}
			b := add("new/dir/b", "b")
			ids = []int64{b.ID, add("new/dir/c", "c").ID, add("top", "top").ID}
			wantEqual(t, "the same again", datastore.Registered{ID: b.ID, Name: "new/dir/b", Existing: true}, add("new/dir/b", "b"))
			refuse("new/dir/b", "other")
			refuse("old/a", "other")
			refuse("old", "a directory")
			refuse("new/dir", "a directory")
			refuse("top/under", "below a file")
			gone := add("gone/dir/d", "d")
			if err := a.Remove(t.Context(), gone.ID); err != nil {
				t.Error(err)
			}
			return a.Err()
		})
		wantEqual(t, "top", []string{"new/", "old/", "top"}, f.paths(t, rev.ID, ""))
		wantEqual(t, "new/dir", []string{"new/dir/b", "new/dir/c"}, f.paths(t, rev.ID, "new/dir"))
		wantEqual(t, "nothing without its directory", []string(nil), f.outside(t))
		var added []metadb.Change
		for _, c := range f.changes(t)[before:] {
			if c.FirstFile != 0 {
				added = append(added, c)
			}
		}
		if len(added) != 1 || added[0].FirstFile != ids[0] || added[0].LastFile < ids[2] {
			t.Errorf("changes that name files: got %+v, want one of rows %v", added, ids)
		}
	})
}

func TestStore_Append_Refuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		former := f.create(t, datastore.CreateOptions{})
		rev := f.create(t, datastore.CreateOptions{})
		failed := errors.New("it is no longer so")
		never := func(*datastore.Appending) error {
			t.Error("files were asked for")
			return nil
		}
		err := f.Append(t.Context(), former, datastore.AppendOptions{}, never)
		wantErr(t, "to a revision that is not active", err, fault.ErrConflict)
		err = f.Append(t.Context(), rev, datastore.AppendOptions{First: func(context.Context, *metadb.Tx) error { return failed }}, never)
		wantErr(t, "where the first statement fails", err, failed)
		if err := f.Lock(t.Context(), rev.ID, f.startJob(t)); err != nil {
			t.Fatal(err)
		}
		err = f.Append(t.Context(), rev, datastore.AppendOptions{}, never)
		wantErr(t, "to what another has locked", err, fault.ErrConflict)
	})
}

// TestStore_Append_Undone holds that nothing is left of a transaction whose end fails.
func TestStore_Append_Undone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		failed := errors.New("a file was lost")
		o := datastore.AppendOptions{RegisterOptions: datastore.RegisterOptions{Tree: true}}
		err := f.Append(t.Context(), rev, o, func(a *datastore.Appending) error {
			if _, err := a.Add(t.Context(), treeFile("dir/a", "a")); err != nil {
				return err
			}
			return failed
		})
		wantErr(t, "Append", err, failed)
		wantEqual(t, "what is there", []string{}, f.paths(t, rev.ID, ""))
	})
}
