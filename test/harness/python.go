package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Python runs a script of this repository in its Python environment as the user, and returns what it printed.
// The environment may lie where the user cannot go, so the interpreter starts as whoever runs the tests; scripts begin
// with test/tpch/become.py, which gives that up.
func Python(t testing.TB, u User, script string, args ...string) string {
	t.Helper()
	root := Root(t)
	python := filepath.Join(root, ".venv", "bin", "python")
	if _, err := os.Stat(python); err != nil {
		t.Fatalf("the Python environment is missing; `make tools` makes it: %v", err)
	}
	cmd := exec.Command(python, append([]string{filepath.Join(root, script)}, args...)...)
	cmd.Env = append(os.Environ(), "ANNEXFS_TEST_UID="+itoa(u.UID), "ANNEXFS_TEST_GID="+itoa(u.GID))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	done := make(chan error)
	go func() { done <- cmd.Run() }() // on a thread that is not the user's
	if err := <-done; err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
