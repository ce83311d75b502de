package durable_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/internal/durable"
)

const childVariable = "ANNEXFS_DURABLE_TEST_CHILD"

// TestMain is the traced program too.
func TestMain(m *testing.M) {
	if root := os.Getenv(childVariable); root != "" {
		if err := child(root); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

func child(root string) error {
	tree := durable.New(root)
	for _, name := range []string{"a/b/first", "a/b/second"} {
		f, err := tree.Create("tmp")
		if err != nil {
			return err
		}
		defer f.Discard()
		if _, err := f.WriteString(name); err != nil {
			return err
		}
		if err := f.Commit(name, true); err != nil {
			return err
		}
	}
	return tree.Remove("a/b/first")
}

// TestTree_Order looks at the system calls: no other test would miss an fsync.
func TestTree_Order(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("NOT RUN HERE: strace is not installed")
	}
	root, out := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, "-f", "-y", "-o", out, "-e", "signal=none",
		"-e", "trace=mkdirat,fsync,fdatasync,renameat,renameat2,unlinkat", os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+root)
	if output, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(output), "Operation not permitted") {
			t.Skipf("NOT RUN HERE: strace may not trace: %s", output)
		}
		t.Fatalf("strace: %v\n%s", err, output)
	}
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"mkdirat tmp", "fsync .",
		"fsync TEMP", "mkdirat a", "fsync .", "mkdirat a/b", "fsync a", "renameat2 TEMP a/b/first", "fsync a/b",
		"fsync TEMP", "renameat2 TEMP a/b/second", "fsync a/b",
		"unlinkat a/b/first", "fsync a/b",
	}
	if diff := cmp.Diff(want, calls(string(trace), root)); diff != "" {
		t.Errorf("system calls (-want +got):\n%s", diff)
	}
}

// calls names the system calls of a trace that succeeded, with their paths below root.
func calls(trace, root string) (calls []string) {
	call := regexp.MustCompile(`(\w+)\((.*)\) += 0`)
	path := regexp.MustCompile(`[<"]` + regexp.QuoteMeta(root) + `/?([^>"]*)[>"]`)
	for line := range strings.Lines(trace) {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		paths := path.FindAllStringSubmatch(m[2], -1)
		if len(paths) == 0 {
			continue // not ours
		}
		words := []string{m[1]}
		for _, p := range paths {
			switch {
			case p[1] == "":
				words = append(words, ".")
			case durable.IsTemp(filepath.Base(p[1])):
				words = append(words, "TEMP")
			default:
				words = append(words, p[1])
			}
		}
		calls = append(calls, strings.Join(words, " "))
	}
	return calls
}
