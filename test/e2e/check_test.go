package e2e_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/test/harness"
)

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// listed checks what a directory lists.
func listed(t *testing.T, dir string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), harness.Names(t, dir)); diff != "" {
		t.Errorf("%s lists (-want +got):\n%s", dir, diff)
	}
}

// missing checks that a name is not there, and that the error is ENOENT.
func missing(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("stat %s: got %v, want ENOENT", path, err)
	}
}

func stat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

var parquetName = regexp.MustCompile(`^[0-9]{9}-[0-9a-f]{16}\.parquet$`)

// orders checks that a directory lists files of the right form with the content of the originals, and nothing else.
func orders(t *testing.T, dir string, originals []string) {
	t.Helper()
	names := harness.Names(t, dir)
	if len(names) != len(originals) {
		t.Fatalf("%s lists %q, want %d files", dir, names, len(originals))
	}
	for i, name := range names {
		if !parquetName.MatchString(name) {
			t.Errorf("%s: name %q is not of the form block-suffix.parquet", dir, name)
		}
		want := harness.ReadFile(t, originals[i])
		if got := harness.ReadFile(t, filepath.Join(dir, name)); got != want {
			t.Errorf("%s/%s: %d bytes that differ from the %d of %s", dir, name, len(got), len(want), originals[i])
		}
		equal(t, "size of "+name, stat(t, filepath.Join(dir, name)).Size(), int64(len(want)))
	}
}

// photos checks that a directory holds the sample's photos and nothing else.
func photos(t *testing.T, dir string) {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		got[name] = harness.ReadFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(harness.PhotoFiles, got); diff != "" {
		t.Errorf("%s holds (-want +got):\n%s", dir, diff)
	}
}

func getxattr(t *testing.T, path, name string) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, name, buf)
	if err != nil {
		t.Fatalf("getxattr %s %s: %v", path, name, err)
	}
	return string(buf[:n])
}

func itoa(n int) string { return strconv.Itoa(n) }

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	sys, ok := stat(t, path).Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("stat of %s has no inode number", path)
	}
	return sys.Ino
}
