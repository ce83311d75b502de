package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// writerFiles is the environment variable that sets how many files each writer of TestStaging_Concurrent copies.
const writerFiles = "ANNEXFS_WRITER_FILES"

// TestStaging_Concurrent has 16 programs copy into one table while others query it: in the end every file is there
// exactly once, and no query has failed or has seen part of a file.
func TestStaging_Concurrent(t *testing.T) {
	const writers, readers = 16, 2
	files := setting(t, writerFiles, 100)
	u := harness.Users(t)[0]
	t.Run("embedded", func(t *testing.T) { concurrent(t, u, harness.Backend{}, writers, readers, files) })
	t.Run("server", func(t *testing.T) { concurrent(t, u, harness.Servers(t), writers, readers, max(1, files/4)) })
}

const rowsPerFile = 10

func concurrent(t *testing.T, u harness.User, backend harness.Backend, writers, readers, files int) {
	t.Helper()
	b := newBed(t, u, backend, tables{"orders": orderTable})
	sources := make([]string, writers)
	for w := range writers {
		sources[w] = b.newDir(t)
		for f := range files {
			n := w*files + f
			harness.WriteParquet(t, filepath.Join(sources[w], fmt.Sprintf("writer-%d-%d.parquet", w, f)), n*rowsPerFile, rowsPerFile)
		}
	}
	b.MustExec("cp", filepath.Join(sources[0], "writer-0-0.parquet"), b.staging("orders")) // DuckDB wants one
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	var queries atomic.Int64
	begin := time.Now()
	for _, source := range sources {
		writing.Go(func() {
			result := b.Exec("cp", "-r", source+"/.", b.staging("orders"))
			if result.Code != 0 || result.Stderr != "" {
				t.Errorf("cp: exit status %d: %s", result.Code, last(result.Stderr, 2000))
			}
		})
	}
	for range readers {
		w := newWorker(t, u, "worker.py")
		t.Cleanup(func() { w.stop(t) })
		reading.Go(func() {
			for !done.Load() && !t.Failed() {
				queries.Add(1)
				whole(t, w, b.table("orders"))
			}
		})
	}
	writing.Wait()
	took := time.Since(begin)
	done.Store(true)
	reading.Wait()
	total := writers * files
	t.Logf("counted: %d writers copied %d files in %v (%.0f files/s), %d queries meanwhile", writers, total,
		took.Round(time.Millisecond), float64(total)/took.Seconds(), queries.Load())
	b.holds(t, "orders", total, total*rowsPerFile)
	unstaged(t, b.staging("orders"))
}

// whole queries a table, which must hold whole files, each once.
func whole(t *testing.T, w *worker, dir string) {
	t.Helper()
	answer, err := w.do("sql", `SELECT count(*), count(DISTINCT id), count(DISTINCT id // 10) FROM '`+dir+`/*.parquet'`)
	if err != nil {
		t.Errorf("a query while files are added: %v", err)
		return
	}
	var rows [][]int
	if err := json.Unmarshal(answer, &rows); err != nil || len(rows) != 1 {
		t.Errorf("a query while files are added answers %s: %v", answer, err)
		return
	}
	if r := rows[0]; r[0] != r[1] || r[0] != r[2]*rowsPerFile {
		t.Errorf("a query while files are added sees %d rows with %d ids of %d files", r[0], r[1], r[2])
	}
}
