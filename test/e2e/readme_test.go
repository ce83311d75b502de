package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annexfs/annexfs/test/harness"
)

// TestReadme runs every command of README's tour, in order, in one shell.
func TestReadme(t *testing.T) {
	root := harness.Root(t)
	script := "set -eu\n"
	_, tour, found := strings.Cut(harness.ReadFile(t, filepath.Join(root, "README.md")), "## Five minutes\n")
	tour, _, ended := strings.Cut(tour, "\n## ")
	if !found || !ended {
		t.Fatal("README has no section \"Five minutes\"")
	}
	blocks := strings.Split(tour, "```sh\n")[1:]
	for _, block := range blocks {
		commands, _, ok := strings.Cut(block, "```")
		if !ok {
			t.Fatalf("a block does not end:\n%s", block)
		}
		script += commands
	}
	if len(blocks) < 5 {
		t.Fatalf("found %d blocks of commands in the tour", len(blocks))
	}

	// The clone that the tour is in: what it names, linked.
	clone := harness.Dir(t)
	for link, target := range map[string]string{
		".venv": filepath.Join(root, ".venv"), "test": filepath.Join(root, "test"), "README.md": filepath.Join(root, "README.md"),
		"bin": filepath.Dir(harness.Program(t)),
	} {
		if err := os.Symlink(target, filepath.Join(clone, link)); err != nil {
			t.Fatal(err)
		}
	}
	me := harness.User{UID: os.Getuid(), GID: os.Getgid()}
	shell := harness.Open(t, me, clone, harness.Backend{})
	point := filepath.Join(clone, "tour", "mnt")
	t.Cleanup(func() { shell.Exec("fusermount3", "-uqz", point) })
	cmd := shell.Command("bash", "-c", script)
	cmd.Dir = clone
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour ends with %v:\n%s", err, out)
	}
	for _, want := range []string{"@latest -> @1.0.0", "REG AIR", "l_extendedprice * l_discount", "not a usable parquet file"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
}
