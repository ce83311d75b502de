package datastore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func (f *fixture) count(t *testing.T, table string) int64 {
	t.Helper()
	return value[int64](t, f, `select count(*) from `+table)
}

func TestStore_Register(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		want := newFile(7)
		want.Version = "v7"
		want.Statistics = datastore.Statistics{
			Columns: map[string]datastore.ColumnStatistics{"id": column(datastore.TypeInt, "1", "9", nulls(2))},
			Keys:    map[string]string{"year": "1994"},
		}
		got := f.register(t, rev, datastore.RegisterOptions{}, want, newFile(8))
		wantEqual(t, "registered", []datastore.Registered{
			{ID: got[0].ID, Name: want.Name}, {ID: got[1].ID, Name: newFile(8).Name},
		}, got)

		file, err := f.File(t.Context(), got[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if file.ModTime.IsZero() {
			t.Error("the file has no time")
		}
		wantEqual(t, "file", datastore.File{
			Entry:      datastore.Entry{ID: got[0].ID, Name: want.Name, Path: want.Name, Size: want.Size, ModTime: file.ModTime},
			LocationID: rev.ID, Revision: rev.UUID, URL: want.URL, ETag: want.ETag, Version: "v7", SHA256: want.SHA256,
			Rows: want.Rows, FooterOffset: want.FooterOffset, Statistics: want.Statistics,
		}, file)
		footer, err := f.Footer(t.Context(), got[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "footer", datastore.Footer{Offset: want.FooterOffset, Bytes: want.Footer}, footer)

		wantEqual(t, "change", metadb.Change{
			Seq: 2, Kind: metadb.ChangeFiles, Namespace: "tpch", Name: "sf1", Hash: f.table.Manifest.String(),
			Table: "lineitem", LocationID: rev.ID, FirstFile: got[0].ID, LastFile: got[1].ID,
		}, f.changes(t)[1])
		after, err := f.Active(t.Context(), f.table)
		if err != nil || !after.UpdatedAt.After(rev.UpdatedAt) {
			t.Errorf("updated at %v, %v, want after %v", after.UpdatedAt, err, rev.UpdatedAt)
		}
	})
}

func TestStore_Register_Again(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		first := f.register(t, rev, datastore.RegisterOptions{}, newFile(1), newFile(2))
		renamed := newFile(3)
		renamed.SHA256 = newFile(1).SHA256
		same := newFile(4)
		for range 2 { // a retried ingest
			got := f.register(t, rev, datastore.RegisterOptions{}, newFile(2), renamed, same, same, newFile(1))
			wantEqual(t, "registered", []datastore.Registered{
				{ID: first[1].ID, Name: newFile(2).Name, Existing: true},
				{ID: first[0].ID, Name: newFile(1).Name, Existing: true},
				{ID: got[2].ID, Name: same.Name, Existing: got[2].Existing},
				{ID: got[2].ID, Name: same.Name, Existing: true},
				{ID: first[0].ID, Name: newFile(1).Name, Existing: true},
			}, got)
		}
		wantEqual(t, "rows", int64(3), f.count(t, "file_metadata"))
		wantEqual(t, "footers", int64(3), f.count(t, "footer_cache"))
		wantEqual(t, "changes: created, added, added", 3, len(f.changes(t)))
	})
}

func TestStore_Register_SameContentInOneBatch(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		a, b := newFile(1), newFile(2)
		b.SHA256 = a.SHA256
		got := f.register(t, rev, datastore.RegisterOptions{}, a, b)
		wantEqual(t, "registered", []datastore.Registered{
			{ID: got[0].ID, Name: a.Name}, {ID: got[0].ID, Name: a.Name, Existing: true},
		}, got)
		wantEqual(t, "rows", int64(1), f.count(t, "file_metadata"))
	})
}

func TestStore_Register_OtherContent(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		f.register(t, rev, datastore.RegisterOptions{}, newFile(1))
		changed := newFile(1)
		changed.SHA256 = dataset.HashOf([]byte("other"))
		_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{}, []datastore.NewFile{newFile(2), changed})
		wantErr(t, "other content under a name that is there", err, fs.ErrExist)
		twice := newFile(3)
		twice.SHA256 = dataset.HashOf([]byte("other"))
		_, err = f.Register(t.Context(), rev, datastore.RegisterOptions{}, []datastore.NewFile{newFile(3), twice})
		wantErr(t, "other content under one name of the batch", err, fs.ErrExist)
		wantEqual(t, "files: all or none", []string{newFile(1).Name}, f.paths(t, rev.ID, ""))
	})
}

func TestStore_Register_Names(t *testing.T) {
	f := newFixture(t, metadbtest.SQLite(t), datastore.Options{})
	rev := f.create(t, datastore.CreateOptions{})
	for _, tt := range []struct {
		name string
		tree bool
		ok   bool
	}{
		{"a.parquet", false, false},
		{"x/" + newFile(1).Name, false, false},
		{"", true, false}, {".", true, false}, {"..", true, false}, {"/a", true, false}, {"a/", true, false},
		{"a//b", true, false}, {"a/../b", true, false}, {"a\x00b", true, false}, {"\xff", true, false},
		{strings.Repeat("n", 256), true, false}, {strings.Repeat("n/", 2000) + "n", true, false},
		{"a b/.gitignore", true, true}, {"Jürgen/ü\n", true, true}, {strings.Repeat("n", 255), true, true},
	} {
		file := treeFile(tt.name, tt.name)
		_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{Tree: tt.tree}, []datastore.NewFile{file})
		if tt.ok && err != nil {
			t.Errorf("%q: %v", tt.name, err)
		}
		if !tt.ok && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v, want fs.ErrInvalid", tt.name, err)
		}
	}
}

func TestStore_Register_Lock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a, b := f.startJob(t), f.startJob(t)
		rev := f.create(t, datastore.CreateOptions{Job: a})
		for _, tt := range []struct {
			name string
			job  *datastore.Job
			want error
		}{
			{"the writer", a, nil},
			{"another job", b, fault.ErrConflict},
			{"no job", nil, fault.ErrConflict},
		} {
			_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{Job: tt.job}, newFiles(0, 1))
			wantErr(t, tt.name, err, tt.want)
		}
		if err := a.End(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.register(t, rev, datastore.RegisterOptions{}, newFile(1))
		_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{Job: b}, newFiles(2, 3))
		wantErr(t, "a job that has not locked it", err, fault.ErrConflict)
		_, err = f.Register(t.Context(), datastore.Revision{ID: rev.ID + 100}, datastore.RegisterOptions{}, newFiles(2, 3))
		wantErr(t, "no such revision", err, fs.ErrNotExist)
	})
}

func TestStore_Register_Concurrently(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		const programs, files = 4, 20
		ids := make([][]int64, programs)
		var g errgroup.Group
		for p := range programs {
			h := f.again(t, datastore.Options{})
			g.Go(func() error {
				for n := range files {
					same, own := newFile(n), newFile(1000*(p+1)+n)
					if p%2 == 1 { // same content, another name
						same.Name = newFile(100 + n).Name
					}
					got, err := h.Register(t.Context(), rev, datastore.RegisterOptions{}, []datastore.NewFile{own, same})
					if err != nil {
						return err
					}
					ids[p] = append(ids[p], got[1].ID)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		for p := range ids {
			wantEqual(t, fmt.Sprintf("ids that program %d was given", p), ids[0], ids[p])
		}
		wantEqual(t, "rows", int64(files*(programs+1)), f.count(t, "file_metadata"))
		wantEqual(t, "ranges of changes", []string(nil), f.outside(t))
	})
}

// outside are the files that no recorded change of their revision covers.
func (f *fixture) outside(t *testing.T) []string {
	t.Helper()
	var missing []string
	changes := f.changes(t)
	for file, err := range f.Files(t.Context(), changes[0].LocationID) {
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(changes, func(c metadb.Change) bool {
			return c.Kind == metadb.ChangeFiles && c.FirstFile <= file.ID && file.ID <= c.LastFile
		}) {
			missing = append(missing, file.Path)
		}
	}
	return missing
}

func TestStore_Register_Tree(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.create(t, datastore.CreateOptions{})
		f.register(t, rev, tree, treeFile("a/b/c.txt", "x"), treeFile("a/d.txt", "x"), treeFile("e.txt", "y"))
		for _, tt := range []struct {
			name  string
			files []datastore.NewFile
			want  error
		}{
			{"same again", []datastore.NewFile{treeFile("a/b/c.txt", "x")}, nil},
			{"same content elsewhere", []datastore.NewFile{treeFile("z/c.txt", "x")}, nil},
			{"other content", []datastore.NewFile{treeFile("a/b/c.txt", "z")}, fs.ErrExist},
			{"file where a directory is", []datastore.NewFile{treeFile("a/b", "x")}, fs.ErrExist},
			{"file where a directory is, in the root", []datastore.NewFile{treeFile("a", "x")}, fs.ErrExist},
			{"directory where a file is", []datastore.NewFile{treeFile("e.txt/f", "x")}, fs.ErrExist},
			{"both in one batch", []datastore.NewFile{treeFile("n/o", "x"), treeFile("n", "x")}, fs.ErrExist},
			{"both in one batch, deeper", []datastore.NewFile{treeFile("q", "x"), treeFile("q/r/s", "x")}, fs.ErrExist},
		} {
			_, err := f.Register(t.Context(), rev, tree, tt.files)
			wantErr(t, tt.name, err, tt.want)
		}
		wantEqual(t, "rows", int64(4), f.count(t, "file_metadata"))
		wantEqual(t, "directories", int64(3), f.count(t, "file_directories"))
		other := f.create(t, datastore.CreateOptions{})
		f.register(t, other, tree, treeFile("a", "x")) // of another revision nothing is known
	})
}

func TestStore_Publish(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id, _, err := datastore.NewRevision(f.table)
		if err != nil {
			t.Fatal(err)
		}
		made := f.publish(t, datastore.PublishOptions{Create: datastore.CreateOptions{UUID: id, Actor: "ann"}}, newFile(1))
		wantEqual(t, "UUID of a revision that is made", id, made.UUID)
		if !made.Active {
			t.Error("the revision that is made is not active")
		}
		added := f.publish(t, datastore.PublishOptions{}, newFile(2), newFile(1))
		wantEqual(t, "revision that is added to", made.UUID, added.UUID)
		wantEqual(t, "files", []string{newFile(1).Name, newFile(2).Name}, f.paths(t, made.ID, ""))

		replaced := f.publish(t, datastore.PublishOptions{Replace: true}, newFile(2), newFile(3))
		_, active := f.states(t)
		wantEqual(t, "active", replaced.UUID, active)
		wantEqual(t, "files", []string{newFile(2).Name, newFile(3).Name}, f.paths(t, replaced.ID, ""))
		wantEqual(t, "files of the former", []string{newFile(1).Name, newFile(2).Name}, f.paths(t, made.ID, ""))

		var kinds []string
		for _, c := range f.changes(t) {
			kinds = append(kinds, fmt.Sprint(c.Seq, " ", c.Kind))
		}
		wantEqual(t, "changes", []string{"1 activate", "1 files", "2 files", "3 activate", "3 files"}, kinds)
	})
}

func TestStore_Publish_Refuses(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		rev := f.publish(t, datastore.PublishOptions{}, newFile(1))
		changed := newFile(1)
		changed.SHA256 = dataset.HashOf([]byte("other"))
		_, _, err := f.Publish(t.Context(), f.table, datastore.PublishOptions{}, []datastore.NewFile{newFile(2), changed})
		wantErr(t, "other content", err, fs.ErrExist)

		job, other := f.startJob(t), f.startJob(t)
		if err := f.Lock(t.Context(), rev.ID, job); err != nil {
			t.Fatal(err)
		}
		for _, replace := range []bool{false, true} {
			o := datastore.PublishOptions{Replace: replace}
			_, _, err := f.Publish(t.Context(), f.table, o, newFiles(2, 3))
			wantErr(t, fmt.Sprintf("locked, replace %t", replace), err, fault.ErrConflict)
			o.Job = other
			_, _, err = f.Publish(t.Context(), f.table, o, newFiles(2, 3))
			wantErr(t, fmt.Sprintf("locked by another job, replace %t", replace), err, fault.ErrConflict)
		}
		unknown := f.table
		unknown.Manifest = dataset.HashOf([]byte("unknown"))
		_, _, err = f.Publish(t.Context(), unknown, datastore.PublishOptions{}, newFiles(2, 3))
		wantErr(t, "unknown manifest", err, fs.ErrNotExist)

		wantEqual(t, "revisions", int64(1), f.count(t, "physical_tables"))
		wantEqual(t, "files", []string{newFile(1).Name}, f.paths(t, rev.ID, ""))
		wantEqual(t, "changes", 2, len(f.changes(t)))
		f.publish(t, datastore.PublishOptions{RegisterOptions: datastore.RegisterOptions{Job: job}}, newFile(2))
	})
}

// A reader sees a replacement whole or not at all, while programs replace and add at once.
func TestStore_Publish_Atomically(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.publish(t, datastore.PublishOptions{}, newFiles(0, 10)...)
		ctx, stop := context.WithCancel(t.Context())
		var writers, reader errgroup.Group
		for p := range 2 {
			h := f.again(t, datastore.Options{})
			writers.Go(func() error {
				for n := range 10 {
					first := 100 * (10*p + n + 1)
					o := datastore.PublishOptions{Replace: n%2 == 0}
					if _, _, err := h.Publish(t.Context(), f.table, o, newFiles(first, first+10)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		reader.Go(func() error {
			for ctx.Err() == nil {
				rev, err := f.Active(t.Context(), f.table)
				if err != nil {
					return err
				}
				if st, err := f.Stats(t.Context(), rev.ID); err != nil || st.Files == 0 || st.Files%10 != 0 {
					return fmt.Errorf("%d files, %w, want whole publications", st.Files, err)
				}
			}
			return nil
		})
		err := writers.Wait()
		stop()
		if err := errors.Join(err, reader.Wait()); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkStore_Register(b *testing.B) {
	const n = 10_000
	files := newFiles(0, n)
	for i := range files {
		files[i].Footer = []byte(strings.Repeat("f", 2000))
	}
	f := newFixture(b, benchmarkURL(b), datastore.Options{})
	for b.Loop() {
		rev := f.create(b, datastore.CreateOptions{})
		f.register(b, rev, datastore.RegisterOptions{}, files...)
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}

// benchmarkURL is a fresh SQLite database.
func benchmarkURL(b *testing.B) string {
	url := "sqlite:" + b.TempDir() + "/annexfs.db"
	if _, _, err := metadb.Migrate(b.Context(), url); err != nil {
		b.Fatal(err)
	}
	return url
}
