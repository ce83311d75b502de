package metadbtest_test

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

func TestMain(m *testing.M) { metadbtest.Main(m) }

// endEnv tells TestEach, run in another process, how to end that process.
const endEnv = "METADBTEST_END"

func TestEach(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db, err := metadb.Open(t.Context(), url, metadb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if head, err := db.Head(t.Context()); head != 0 || err != nil {
			t.Errorf("Head = %d, %v; want 0", head, err)
		}
		if db.Dialect() != metadb.Postgres {
			return
		}
		switch fmt.Println("URL", url); os.Getenv(endEnv) {
		case "kill":
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		case "panic":
			panic("on purpose")
		case "fail":
			t.Error("on purpose")
		}
	})
}

// run runs TestEach in another process.
func run(t *testing.T, env ...string) (output string, err error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestEach$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// However a test binary ends, its server and the server's directory end too.
func TestMain_LeavesNothing(t *testing.T) {
	if os.Getenv(metadbtest.NoPostgres) == "1" {
		fmt.Fprintf(os.Stderr, "NOT RUN HERE: %s (%s=1)\n", t.Name(), metadbtest.NoPostgres)
		t.Skipf("NOT RUN HERE: %s=1", metadbtest.NoPostgres)
	}
	for _, end := range []string{"well", "fail", "panic", "kill"} {
		output, err := run(t, endEnv+"="+end)
		if (err == nil) != (end == "well") {
			t.Errorf("%s: ended with %v", end, err)
		}
		match := regexp.MustCompile(`URL (\S+)`).FindStringSubmatch(output)
		if match == nil {
			t.Errorf("%s: no database\n%s", end, output)
			continue
		}
		u, err := url.Parse(match[1])
		if err != nil {
			t.Fatal(err)
		}
		dir := u.Query().Get("host")
		deadline := time.Now().Add(30 * time.Second)
		for _, err = os.Stat(dir); err == nil && time.Now().Before(deadline); _, err = os.Stat(dir) {
			time.Sleep(20 * time.Millisecond)
		}
		if err == nil || !os.IsNotExist(err) {
			t.Errorf("%s: %s is left: %v, want %v", end, dir, err, fs.ErrNotExist)
		}
	}
}

func TestEach_WithoutPostgres(t *testing.T) {
	output, err := run(t, metadbtest.NoPostgres+"=", "ANNEXFS_PG_BIN="+t.TempDir())
	if err == nil || !strings.Contains(output, "--- FAIL: TestEach/postgres") || !strings.Contains(output, metadbtest.NoPostgres) {
		t.Errorf("without PostgreSQL: %v, want a failure that names %s\n%s", err, metadbtest.NoPostgres, output)
	}
	output, err = run(t, metadbtest.NoPostgres+"=1")
	if err != nil || !strings.Contains(output, "NOT RUN HERE: TestEach/postgres") {
		t.Errorf("told to leave PostgreSQL out: %v, want success and a line that says so\n%s", err, output)
	}
}
