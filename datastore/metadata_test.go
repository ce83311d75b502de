package datastore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// parquetNewFile is the n-th file to register with this content.
func parquetNewFile(t testing.TB, n int, data []byte) datastore.NewFile {
	t.Helper()
	info, err := readFooter(data)
	if err != nil {
		t.Fatal(err)
	}
	f := newFile(n)
	f.Size, f.Rows, f.FooterOffset, f.Footer, f.Statistics = int64(len(data)), info.Rows, info.Offset, info.Bytes, info.Statistics
	return f
}

// addFooters registers n files with the footer of testdata/pyarrow.parquet, which takes about 100 kB when it is parsed.
func (f *fixture) addFooters(t testing.TB, n int) []int64 {
	t.Helper()
	data := testdata(t, "pyarrow.parquet")
	var files []datastore.NewFile
	for i := range n {
		files = append(files, parquetNewFile(t, i, data))
	}
	var ids []int64
	for _, r := range f.register(t, f.create(t, datastore.CreateOptions{}), datastore.RegisterOptions{}, files...) {
		ids = append(ids, r.ID)
	}
	return ids
}

// queriesOf counts those that asking for the metadata of files takes.
func (f *fixture) queriesOf(t *testing.T, ids ...int64) int64 {
	t.Helper()
	before := f.db.Queries()
	for _, id := range ids {
		if _, err := f.ParquetMetadata(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return f.db.Queries() - before
}

func TestStore_Footer(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		data := testdata(t, "pyarrow.parquet")
		id := f.addFooters(t, 1)[0]
		footer, err := f.Footer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(footer.Bytes, data[footer.Offset:]) {
			t.Error("the stored footer is not the file's own end")
		}
		bare := newFile(100)
		bare.Footer = nil
		got := f.register(t, f.create(t, datastore.CreateOptions{}), datastore.RegisterOptions{}, bare)
		_, err = f.Footer(t.Context(), got[0].ID)
		wantErr(t, "a file without a footer", err, fs.ErrNotExist)
	})
}

func TestFooter_ReadAt(t *testing.T) {
	data := testdata(t, "duckdb.parquet")
	info, err := readFooter(data)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if n, err := info.Footer.ReadAt(got, int64(len(data))-8); n != 8 || err != nil || !bytes.Equal(got, data[len(data)-8:]) {
		t.Errorf("last 8 bytes: %q, %d, %v, want %q", got, n, err, data[len(data)-8:])
	}
	if n, err := info.Footer.ReadAt(got, int64(len(data))-4); n != 4 || err == nil {
		t.Errorf("8 bytes of the last 4: %d, %v, want 4 and an error", n, err)
	}
	_, err = info.Footer.ReadAt(got, info.Offset-1)
	wantErr(t, "before the footer", err, fs.ErrInvalid)
}

func TestStore_ParquetMetadata(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		data := testdata(t, "pyarrow.parquet")
		ids := f.addFooters(t, 2)
		got, err := f.ParquetMetadata(t.Context(), ids[0]) // there is no object: it reads the database alone
		if err != nil {
			t.Fatal(err)
		}
		want, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "row groups", want.Metadata().RowGroups, got.Metadata().RowGroups)
		wantEqual(t, "page indices", want.OffsetIndexes(), got.OffsetIndexes())
		wantEqual(t, "schema", want.Schema().String(), got.Schema().String())
		wantEqual(t, "queries of a hit", int64(0), f.queriesOf(t, ids[0], ids[0]))
		wantEqual(t, "queries of a miss", int64(1), f.queriesOf(t, ids[1], ids[0]))
	})
}

// However many ask at once, one loads.
func TestStore_ParquetMetadata_Concurrently(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ids := f.addFooters(t, 20)
		before := f.db.Queries()
		files := make([][]*parquet.File, 8)
		var g errgroup.Group
		for w := range files {
			g.Go(func() error {
				for _, id := range ids {
					file, err := f.ParquetMetadata(t.Context(), id)
					if err != nil {
						return err
					}
					files[w] = append(files[w], file)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "queries", int64(len(ids)), f.db.Queries()-before)
		for w := range files {
			for i := range ids {
				if files[w][i] != files[0][i] {
					t.Fatalf("worker %d has file %d of its own", w, i)
				}
			}
		}
	})
}

// Who gives up waiting fails nobody else, even if the load is his.
func TestStore_ParquetMetadata_Canceled(t *testing.T) {
	f := newFixture(t, metadbtest.Postgres(t), datastore.Options{})
	id := f.addFooters(t, 1)[0]
	locked, release := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error { // keeps the load waiting
		return f.db.Update(t.Context(), func(tx *metadb.Tx) error {
			_, err := tx.Exec(t.Context(), `lock table footer_cache in access exclusive mode`)
			close(locked)
			<-release
			return err
		})
	})
	<-locked
	before := f.db.Queries()
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := f.ParquetMetadata(ctx, id); first <- err }()
	for deadline := time.Now().Add(10 * time.Second); f.db.Queries() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no load in 10 s")
		}
	}
	go func() { _, err := f.ParquetMetadata(t.Context(), id); second <- err }()
	cancel()
	wantErr(t, "who gave up", <-first, context.Canceled)
	close(release)
	if err := errors.Join(g.Wait(), <-second); err != nil {
		t.Errorf("who waited: %v", err)
	}
	wantEqual(t, "queries", int64(1), f.db.Queries()-before)
}

func TestStore_ParquetMetadata_Errors(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		id := f.addFooters(t, 1)[0]
		stored, err := f.Footer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		f.exec(t, `update footer_cache set footer = $1`, []byte("no footer at all"))
		_, err = f.ParquetMetadata(t.Context(), id)
		wantErr(t, "a broken footer", err, fs.ErrInvalid)
		f.exec(t, `delete from footer_cache`)
		_, err = f.ParquetMetadata(t.Context(), id)
		wantErr(t, "no footer", err, fs.ErrNotExist)
		f.exec(t, `insert into footer_cache (file_id, footer) values ($1, $2)`, id, stored.Bytes)
		if _, err = f.ParquetMetadata(t.Context(), id); err != nil {
			t.Errorf("the errors were kept: %v", err)
		}
	})
}

func TestStore_ParquetMetadata_Budget(t *testing.T) {
	url := metadbtest.SQLite(t)
	all := newFixture(t, url, datastore.Options{CacheBytes: 50 << 20})
	ids := all.addFooters(t, 100) // about 10 MB
	wantEqual(t, "queries, all fit", int64(100), all.queriesOf(t, append(ids, ids...)...))

	for _, budget := range []int64{50_000, -1} {
		none := all.again(t, datastore.Options{CacheBytes: budget})
		wantEqual(t, fmt.Sprintf("queries, one is beyond the budget of %d", budget), int64(4),
			none.queriesOf(t, ids[0], ids[0], ids[1], ids[1]))
	}

	some := all.again(t, datastore.Options{CacheBytes: 2 << 20})
	some.queriesOf(t, ids...)
	wantEqual(t, "queries of the last ones", int64(0), some.queriesOf(t, ids[90:]...))
	wantEqual(t, "queries of the first ones", int64(10), some.queriesOf(t, ids[:10]...))
	wantEqual(t, "queries of what was just used", int64(0), some.queriesOf(t, ids[95:]...))
}

// The budget is one of real memory.
func TestStore_ParquetMetadata_Memory(t *testing.T) {
	const budget = 8 << 20
	f := newFixture(t, metadbtest.SQLite(t), datastore.Options{CacheBytes: budget})
	ids := f.addFooters(t, 300) // about 30 MB
	f.queriesOf(t, ids[:10]...) // what is made once is there now
	base := heap()
	f.queriesOf(t, ids...)
	if used := heap() - base; used < budget/2 || used > budget*3/2 {
		t.Errorf("the cache has %d kB, want about %d", used>>10, budget>>10)
	}
	if file, err := f.ParquetMetadata(t.Context(), ids[299]); err != nil || file.NumRows() != 100 {
		t.Errorf("got %v, want a file of 100 rows", err)
	}
}

// What is registered with statistics can be pruned when it is listed.
func TestStore_Files_Pruned(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var files []datastore.NewFile
		for n := range 10 {
			files = append(files, parquetNewFile(t, n, parquetFile(t, int64(100*n), int64(100*n+99))))
		}
		rev := f.publish(t, datastore.PublishOptions{}, files...)
		p := datastore.Predicate{{Column: "id", Op: datastore.Ge, Value: "250"}, {Column: "id", Op: datastore.Lt, Value: "400"}}
		var got []string
		for file, err := range datastore.Prune(f.Files(t.Context(), rev.ID), p) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, file.Name)
		}
		if diff := cmp.Diff([]string{files[2].Name, files[3].Name}, got); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	})
}
