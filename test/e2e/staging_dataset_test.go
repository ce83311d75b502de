package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// datasetRows is enough for DuckDB to have several threads write.
const datasetRows = 400_000

// TestStaging_DatasetWriters has the libraries write several files into a batch, which _SUCCESS publishes, after they
// were refused with rows of another schema.
func TestStaging_DatasetWriters(t *testing.T) {
	writers := map[string]string{ // table to what the worker does
		"by_duckdb":  "duckdb.threads",
		"by_pyarrow": "pyarrow.dataset",
	}
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		declared := tables{}
		for table := range writers {
			declared[table] = orderTable
		}
		b := newBed(t, u, harness.Backend{}, declared)
		source := filepath.Join(b.newDir(t), "rows.parquet")
		var ignored any
		b.sql(t, &ignored, fmt.Sprintf(`COPY (SELECT range AS id, 'order ' || range AS name, range / 100 AS amount FROM range(%d))
			TO '%s' (FORMAT parquet)`, datasetRows, source))
		for table, action := range writers {
			batch := b.staging(table, "replace/one")
			b.MustExec("mkdir", "-p", batch)
			if _, err := workers.of(t, u).do(action, b.foreign(t), batch); err == nil {
				t.Errorf("%s of rows of another schema succeeds", action)
			}
			reportBelow(t, batch, syscall.EINVAL, "schema")
			b.MustExec("rm", "-r", batch)
			b.MustExec("mkdir", "-p", batch)

			if _, err := workers.of(t, u).do(action, source, batch); err != nil {
				t.Fatalf("%s: %v", action, err)
			}
			files := len(harness.Names(t, batch))
			if files < 2 {
				t.Errorf("%s writes %d files, want several", action, files)
			}
			b.holds(t, table, 0, 0)
			succeeds(t, "commit", commit(batch))
			b.holds(t, table, files, datasetRows)
		}
	})
}

// TestStaging_Partitions holds that directories named as Hive names partitions are taken where the manifest has the
// table partitioned so and nothing gets lost, and are refused with the reason elsewhere.
func TestStaging_Partitions(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		b := newBed(t, u, harness.Backend{}, tables{"whole": partitionedTable, "keyed": keyedTable, "plain": orderTable})
		write := func(table, options string) error {
			dir := b.staging(table, "append/one")
			b.MustExec("mkdir", "-p", dir)
			_, err := workers.of(t, u).do("sql", `COPY (SELECT range AS id, 'order ' || range AS name, 0.5::DOUBLE AS amount,
				CASE WHEN range < 100 THEN 'eu' ELSE 'us' END AS region FROM range(300))
				TO '`+dir+`' (FORMAT parquet, PARTITION_BY (region), OVERWRITE_OR_IGNORE true `+options+`)`)
			return err
		}
		succeeds(t, "files without the column, of a table without it", write("keyed", ""))
		succeeds(t, "commit", commit(b.staging("keyed/append/one")))
		b.holds(t, "keyed", 2, 300)

		if err := write("whole", ""); err == nil {
			t.Error("files without a column that the table has are taken")
		}
		dir := b.staging("whole/append/one")
		reportBelow(t, dir, syscall.EINVAL, "region", "write it into the files too")
		b.MustExec("rm", "-r", dir)
		succeeds(t, "files with the column", write("whole", ", WRITE_PARTITION_COLUMNS true"))
		succeeds(t, "commit", commit(dir))
		b.holds(t, "whole", 2, 300)
		var regions [][]any
		b.sql(t, &regions, `SELECT region, count(*) FROM '`+b.table("whole")+`/*.parquet' GROUP BY ALL ORDER BY ALL`)
		equal(t, "regions", fmt.Sprint(regions), "[[eu 100] [us 200]]")

		if err := write("plain", ""); err == nil {
			t.Error("partitions of a table that has none are taken")
		}
		reportBelow(t, b.staging("plain"), syscall.EINVAL, "region=", "partition_by")
		lying := b.staging("whole/append/two/region=us")
		b.MustExec("mkdir", "-p", lying)
		eu := b.table("whole", harness.Names(t, b.table("whole"))[0])
		fails(t, "a file in another partition's directory", put(eu, filepath.Join(lying, "a.parquet")), syscall.EINVAL)
		report(t, filepath.Join(lying, "a.parquet"), syscall.EINVAL, "holds eu, its directory says us")
	})
}

// TestStaging_Commit holds that the command commits a batch as _SUCCESS does, and says what a refusal says.
func TestStaging_Commit(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, backend harness.Backend) {
		b := newBed(t, u, backend, tables{"orders": orderTable})
		b.batch(t, "replace/one", 0, 2)
		b.Must("commit", "shop/sales/orders", "replace/one")
		harness.Eventually(t, soon, func() string { return count(t, b.table("orders"), 2) })
		b.holds(t, "orders", 2, 200)
		refused(t, b.Run("commit", "shop/sales/orders", "replace/one"), 1, "no data file")
		refused(t, b.Run("commit", "shop/sales/orders", "replace/none"), 3, "replace/none")
		refused(t, b.Run("commit", "shop/sales/orders", "elsewhere/none"), 2, "replace or append")
	})
}

// content is what a directory holds, by path.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	held := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		held[strings.TrimPrefix(path, dir+"/")] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}
