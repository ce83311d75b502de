package e2e_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/test/harness"
)

// TestGC kills annexfs add in the middle: what it has stored is collected once it is old, also beside a mount, and
// nothing else; adding again gives the whole table.
func TestGC(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		r := harness.NewRepo(t, u, harness.Backend{})
		r.Register("shop/sales", harness.SampleManifest("gc"))
		source := harness.Dir(t)
		const files, rows = 400, 10
		for n := range files {
			harness.WriteParquet(t, filepath.Join(source, fmt.Sprintf("%03d.parquet", n)), n*rows, rows)
		}
		registered := 0
		for _, args := range [][]string{{}, {"--replace"}} { // into a table without a revision, and beside an active one
			before := stored(t, r)
			killAdd(t, r, append(args, "shop/sales/orders", source)...)
			var young, dry, done collected
			r.JSON(&young, "gc")
			left := stored(t, r)
			if young.Objects.Count != 0 || len(left) == len(before) {
				t.Fatalf("of what was just stored %d objects were collected, %d are left; want all and some", young.Objects.Count, len(left))
			}
			setBack(t, r)
			r.JSON(&dry, "gc", "--dry-run")
			r.JSON(&done, "gc", "--older-than", "24h")
			if want := int64(len(left) - len(before)); done.Objects.Count != want || dry.Objects != done.Objects || done.Unknown != 0 {
				t.Errorf("collected %+v, announced %+v, want %d objects", done, dry, want)
			}
			if diff := cmp.Diff(before, stored(t, r)); diff != "" {
				t.Errorf("objects (-registered +left):\n%s", diff)
			}
			r.Add("shop/sales/orders", source)
			registered = len(stored(t, r))
			if registered != files {
				t.Errorf("after adding again there are %d objects, want %d", registered, files)
			}
		}
		killAdd(t, r, "--replace", "shop/sales/orders", source)
		setBack(t, r)
		m := r.Mount()
		r.Must("gc") // beside a mount
		if n := len(stored(t, r)); n != registered {
			t.Errorf("%d objects are there, want %d", n, registered)
		}
		sql := fmt.Sprintf("SELECT count(*), min(id), max(id) FROM '%s/*.parquet'", m.Path("shop/sales/@dev/orders"))
		want := harness.Python(t, u, "test/e2e/testdata/query.py", strings.Replace(sql, m.Path("shop/sales/@dev/orders"), source, 1))
		if got := harness.Python(t, u, "test/e2e/testdata/query.py", sql); got != want {
			t.Errorf("over the mount: %s, over the original files: %s", got, want)
		}
	})
}

// collected is what gc says with --json.
type collected struct {
	Objects, Files struct{ Count, Bytes int64 }
	Unknown        int64
}

// killAdd kills annexfs add when it has stored some files.
func killAdd(t *testing.T, r *harness.Repo, args ...string) {
	t.Helper()
	before := len(stored(t, r))
	cmd := r.Command("annexfs", append([]string{"add"}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, func() string {
		if len(stored(t, r)) < before+3 {
			return "annexfs add stores nothing"
		}
		return ""
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the state says it
	if state, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
		t.Fatalf("annexfs add ended before it was killed: %s", cmd.ProcessState)
	}
}

// stored are the parquet files in the object store, in order.
func stored(t *testing.T, r *harness.Repo) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(filepath.Join(r.Dir, "objects"), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// setBack makes all that is stored, and what commands have noted, two days old.
func setBack(t *testing.T, r *harness.Repo) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	for _, dir := range []string{"objects", "files", "staging"} {
		err := filepath.WalkDir(filepath.Join(r.Dir, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				err = os.Chtimes(path, then, then)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
