package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Python runs a script of this repository in its Python environment as the user, and returns what it printed.
// The environment may lie where the user cannot go, so the interpreter starts as whoever runs the tests; scripts that are
// to run as another user give that up by test/e2e/testdata/become.py.
func Python(t testing.TB, u User, script string, args ...string) string {
	t.Helper()
	root := Root(t)
	python := filepath.Join(root, ".venv", "bin", "python")
	cmd := exec.Command(python, append([]string{filepath.Join(root, script)}, args...)...)
	cmd.Env = append(os.Environ(), "ANNEXFS_TEST_UID="+itoa(u.UID), "ANNEXFS_TEST_GID="+itoa(u.GID))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	done := make(chan error)
	go func() { done <- cmd.Run() }() // on a thread that is not the user's
	if err := <-done; err != nil {
		t.Fatalf("%s: %v (`make tools` makes the Python environment)\n%s%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
