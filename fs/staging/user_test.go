package staging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const nobody = 65534

// TestAsUser runs the tests of this package once more as an ordinary user, whose mounts fusermount3 makes.
func TestAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: this is an ordinary user already")
	}
	if _, err := exec.LookPath("fusermount3"); err != nil {
		t.Skip("NOT RUN HERE: fusermount3 is not installed")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "staging-user") // a directory that another user can reach
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "test")
	if out, err := exec.Command("cp", self, binary).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.timeout", "2m", "-test.run", "^Test(Flush|Write|Batch|Rename|Unlink|Tree|Recover|Manifest|Attr)", "-test.v")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", nobody, err, out)
	}
	if got := strings.Count(string(out), "--- PASS: "); got < 20 {
		t.Errorf("as user %d %d tests passed, want 20 at least", nobody, got)
	}
}
