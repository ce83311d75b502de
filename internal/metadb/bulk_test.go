package metadb_test

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"testing"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func fileColumns() []string {
	return []string{"location_id", "file_name", "url", "object_size", "sha256", "row_count", "created_at", "metadata"}
}

// fileRows makes n rows, all in one slice, which the caller of an iterator may do.
func fileRows(location int64, n int) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		row := make([]any, 8)
		for i := range n {
			name := fmt.Sprintf("%09d-%016x.parquet", i, i)
			row[0], row[1], row[2], row[3] = location, name, "ns/name/orders/u1/"+name, int64(i)
			row[4], row[5], row[6], row[7] = "", int64(2*i), int64(1), `{"columns":{}}`
			if !yield(row) {
				return
			}
		}
	}
}

// openTable opens a database with a table that rows can be inserted for.
func openTable(t *testing.T, url string) (db *metadb.DB, location int64) {
	t.Helper()
	db = open(t, url)
	addManifest(t, db, "m1")
	location, err := addTable(t, db, "m1", "u1", true)
	if err != nil {
		t.Fatal(err)
	}
	return db, location
}

func insertFiles(t testing.TB, db *metadb.DB, location int64, n int) (inserted int64, err error) {
	t.Helper()
	err = db.Update(t.Context(), func(tx *metadb.Tx) error {
		inserted, err = tx.Insert(t.Context(), "file_metadata", fileColumns(), fileRows(location, n))
		return err
	})
	return inserted, err
}

func TestTx_Insert(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db, location := openTable(t, url)
		if n, err := insertFiles(t, db, location, 0); n != 0 || err != nil {
			t.Errorf("no rows: inserted %d, %v", n, err)
		}
		const rows = 100_007 // no multiple of what goes into one statement
		before := db.Queries()
		n, err := insertFiles(t, db, location, rows)
		if n != rows || err != nil {
			t.Fatalf("inserted %d, %v; want %d", n, err, rows)
		}
		if sent := db.Queries() - before; sent != 1 {
			t.Errorf("counted as %d statements, want 1", sent)
		}
		if n := number(t, db, "select count(distinct file_name) from file_metadata where location_id = $1", location); n != rows {
			t.Errorf("%d names, want %d", n, rows)
		}
		if n := number(t, db, "select count(*) from file_metadata where row_count = 2 * object_size"); n != rows {
			t.Errorf("%d rows have their own values, want %d", n, rows)
		}
	})
}

func TestTx_Insert_Fails(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db, location := openTable(t, url)
		if _, err := insertFiles(t, db, location+1, 10); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("unknown revision: got %v, want ErrConflict", err)
		}
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			_, err := tx.Insert(t.Context(), "file_metadata", fileColumns(), fileRows(location, 1000))
			if err != nil {
				return err
			}
			_, err = tx.Insert(t.Context(), "file_metadata", fileColumns(), fileRows(location, 1))
			return err
		})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("a name twice: got %v, want fs.ErrExist", err)
		}
		if n := number(t, db, "select count(*) from file_metadata"); n != 0 {
			t.Errorf("failed inserts left %d rows", n)
		}
		if n, err := insertFiles(t, db, location, 250); n != 250 || err != nil {
			t.Errorf("afterwards: inserted %d, %v; want 250", n, err)
		}
	})
}

// Rows pass through: memory does not grow with their number.
func TestTx_Insert_Memory(t *testing.T) {
	db, location := openTable(t, metadbtest.SQLite(t))
	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // what pools keep goes with the second
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before, most := heap(), uint64(0)
	err := db.Update(t.Context(), func(tx *metadb.Tx) error {
		_, err := tx.Insert(t.Context(), "file_metadata", fileColumns(), func(yield func([]any) bool) {
			n := 0
			for row := range fileRows(location, 20_000) {
				if n++; n%5_000 == 0 {
					most = max(most, heap())
				}
				if !yield(row) {
					return
				}
			}
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if most > before+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, most)
	}
}

func BenchmarkTx_Insert(b *testing.B) {
	db := benchmarkDB(b)
	for b.Loop() {
		err := db.Update(b.Context(), func(tx *metadb.Tx) error {
			var location int64
			err := tx.QueryRow(b.Context(), `
				insert into physical_tables (manifest_hash, dataset_namespace, dataset_name, table_name, revision, path,
				                             created_at, updated_at)
				select 'm1', 'ns', 'name', 'orders', count(*), 'path/' || count(*), 1, 1 from physical_tables
				returning id`).Scan(&location)
			if err != nil {
				return err
			}
			_, err = tx.Insert(b.Context(), "file_metadata", fileColumns(), fileRows(location, 100_000))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(100_000*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func benchmarkDB(b *testing.B) *metadb.DB {
	b.Helper()
	url := "sqlite:" + b.TempDir() + "/annexfs.db"
	if _, _, err := metadb.Migrate(b.Context(), url); err != nil {
		b.Fatal(err)
	}
	db, err := metadb.Open(b.Context(), url, metadb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	err = db.Update(b.Context(), func(tx *metadb.Tx) error {
		_, err := tx.Exec(b.Context(),
			"insert into manifests (hash, path, kind, size, created_at) values ('m1', 'p', 'k', 1, 1)")
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// TestTx_Reserve holds that reserved ids are those of rows to come, and that later rows get others.
func TestTx_Reserve(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db, location := openTable(t, url)
		if _, err := insertFiles(t, db, location, 3); err != nil {
			t.Fatal(err)
		}
		columns := append(fileColumns(), "id")
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			ids, err := tx.Reserve(t.Context(), "file_metadata", 5)
			if err != nil {
				return err
			}
			var last int64
			if err := tx.QueryRow(t.Context(), "select max(id) from file_metadata").Scan(&last); err != nil {
				return err
			}
			if len(ids) != 5 || ids[0] <= last || !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 5 {
				t.Errorf("reserved %d, want 5 after %d", ids, last)
			}
			rows := func(yield func([]any) bool) {
				for n, id := range ids {
					name := fmt.Sprintf("reserved-%d", n)
					if !yield([]any{location, name, name, int64(1), "", int64(0), int64(1), "{}", id}) {
						return
					}
				}
			}
			if _, err := tx.Insert(t.Context(), "file_metadata", columns, rows); err != nil {
				return err
			}
			next, err := tx.InsertOne(t.Context(), "file_metadata", fileColumns(),
				[]any{location, "next", "next", int64(1), "", int64(0), int64(1), "{}"})
			if next <= ids[4] {
				t.Errorf("the next row has id %d, want one after %d", next, ids[4])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
