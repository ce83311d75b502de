package metadb_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// childEnv makes the test binary do one job of a test in a process of its own: "<job> <url>".
const childEnv = "METADB_TEST_CHILD"

func TestMain(m *testing.M) {
	if job, url, ok := strings.Cut(os.Getenv(childEnv), " "); ok {
		if err := runChild(context.Background(), job, url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	metadbtest.Main(m)
}

func runChild(ctx context.Context, job, url string) error {
	switch job {
	case "migrate":
		_, _, err := metadb.Migrate(ctx, url)
		return err
	case "count":
		db, err := metadb.Open(ctx, url, metadb.Options{})
		if err != nil {
			return err
		}
		defer db.Close()
		return countUp(ctx, db, perWriter)
	}
	return fmt.Errorf("unknown job %q", job)
}

// startChild runs job in another process. The function it returns waits for its success.
func startChild(t *testing.T, job, url string) (wait func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+job+" "+url)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %q: %v\n%s", job, err, output.String())
		}
	}
}

func open(t *testing.T, url string) *metadb.DB {
	t.Helper()
	db, err := metadb.Open(t.Context(), url, metadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// execOne runs one statement in a transaction of its own.
func execOne(t *testing.T, db *metadb.DB, query string, args ...any) error {
	t.Helper()
	return db.Update(t.Context(), func(tx *metadb.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
}

func mustExec(t *testing.T, db *metadb.DB, query string, args ...any) {
	t.Helper()
	if err := execOne(t, db, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// number is the answer to a query for one number.
func number(t *testing.T, q metadb.Queryer, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := q.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func addManifest(t *testing.T, db *metadb.DB, hash string) {
	t.Helper()
	mustExec(t, db, "insert into manifests (hash, path, kind, size, created_at) values ($1, $2, 'dataset', 2, 1)",
		hash, "manifests/"+hash)
}

// addTable makes a revision named by uuid and returns its id.
func addTable(t *testing.T, db *metadb.DB, manifest, uuid string, active bool) (id int64, err error) {
	t.Helper()
	err = db.Update(t.Context(), func(tx *metadb.Tx) error {
		return tx.QueryRow(t.Context(), `
			insert into physical_tables (manifest_hash, dataset_namespace, dataset_name, table_name, revision, path,
			                             active, created_at, updated_at)
			values ($1, 'ns', 'name', 'orders', $2, $3, $4, 1, 1) returning id`,
			manifest, uuid, "ns/name/orders/"+uuid+"/", active).Scan(&id)
	})
	return id, err
}

// eventually polls until ok or for a long time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

func createFile(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
