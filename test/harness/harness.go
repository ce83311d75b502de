// Package harness gives end-to-end tests the built program on real repositories and real mounts, as root and as an
// ordinary user, and leaves nothing behind: no mount, no process, no directory.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { harness.Main(m) }
package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// prefix begins the name of every temporary directory that this process makes; Main looks for it among what is left.
var prefix = fmt.Sprintf("annexfs-e2e-%d-", os.Getpid())

// Race is the environment variable that, when it is "1", has the program built with the race detector. Races that it
// finds are told in the daemon's log and fail the test that mounted.
const Race = "ANNEXFS_E2E_RACE"

// program is the path of the program, built once for the process: testing gives TestMain no way to hand it on.
var program = sync.OnceValues(build)

// Main builds the program and runs the tests. It fails when they left a mount, a process or a directory.
func Main(m *testing.M) {
	path, err := program()
	if err != nil {
		fmt.Fprintln(os.Stderr, "FAIL: building annexfs:", err)
		os.Exit(1)
	}
	metadbtest.Main(m)
	_ = os.RemoveAll(filepath.Dir(path)) // if it stays, it is a leftover
	if left := leftovers(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: left behind:\n%s\n", strings.Join(left, "\n"))
		os.Exit(1)
	}
}

// Program is the path of the built program. Every user may run it.
func Program(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatalf("building annexfs: %v", err)
	}
	return path
}

func build() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", prefix+"bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "annexfs")
	args, env := []string{"build", "-o", path}, "CGO_ENABLED=0"
	if os.Getenv(Race) == "1" {
		args, env = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "./cmd/annexfs")...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return path, fmt.Errorf("%w\n%s", err, out)
	}
	return path, os.Chmod(dir, 0o755)
}

// Root is the directory of the repository's source.
func Root(t testing.TB) string {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}

// Dir makes a temporary directory that belongs to the calling thread's user and that others may enter. It is removed
// when t ends, after what was registered with t.Cleanup later.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return dir
}

// Eventually calls check until it returns "" or the time is over; then the test fails with what check said last.
func Eventually(t testing.TB, within time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still wrong after %v: %s", within, wrong)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// leftovers names the mounts, processes and directories that tests made and did not remove.
func leftovers() []string {
	var left []string
	if mounts, err := os.ReadFile("/proc/mounts"); err == nil {
		for line := range strings.Lines(string(mounts)) {
			if strings.Contains(line, prefix) {
				left = append(left, "mount: "+strings.TrimSpace(line))
			}
		}
	}
	for _, p := range processes() {
		if strings.Contains(p.exe, prefix) {
			left = append(left, fmt.Sprintf("process %d: %s", p.pid, strings.Join(p.args, " ")))
		}
	}
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*")) // the pattern is good
	for _, dir := range dirs {
		left = append(left, "directory: "+dir)
	}
	return left
}
