package objects_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/objects"
)

func TestStore_LocalFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	mustPut(t, s, "a/b", "content")
	path, ok := s.LocalPath("a/b")
	if path != filepath.Join(dir, "a", "b") || !ok {
		t.Errorf("LocalPath = %q, %v, want the file in %q", path, ok, dir)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "content" {
		t.Errorf("the file = %q, %v, want %q", got, err, "content")
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o444 {
		t.Errorf("the file's mode = %v, %v, want -r--r--r--", info.Mode(), err)
	}
	if path, ok := s.LocalPath("not/there"); !ok || path == "" {
		t.Errorf("LocalPath of what is not there = %q, %v, want where it would be", path, ok)
	}
	if diff := cmp.Diff([]string{"a", "a/b"}, tree(t, dir)); diff != "" {
		t.Errorf("files in the store (-want +got):\n%s", diff)
	}
}

// TestStore_LocalLeftovers holds that what a crash leaves behind is no object.
func TestStore_LocalLeftovers(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	mustPut(t, s, "a/b", "content")
	for _, name := range []string{".annexfs-tmp-1", "a/.annexfs-tmp-2", "c/.annexfs-tmp-3"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for delimiter, want := range map[string][]string{"": {"a/b"}, "/": {"a/"}} {
		if diff := cmp.Diff(want, keys(t, s, "", delimiter)); diff != "" {
			t.Errorf("List with delimiter %q (-want +got):\n%s", delimiter, diff)
		}
	}
}

func TestStore_LocalRefusals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	mustPut(t, s, "a/b", "content")
	if _, err := s.Put(t.Context(), "a", []byte("x")); err == nil {
		t.Error("Put where a directory is: no error")
	}
	if _, err := s.Put(t.Context(), "a/b/c", []byte("x")); err == nil {
		t.Error("Put below an object: no error")
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutFile(t.Context(), "f", fifo, objects.PutOptions{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("PutFile of a FIFO: %v, want fs.ErrInvalid", err)
	}
	if diff := cmp.Diff([]string{"a", "a/b"}, tree(t, dir)); diff != "" {
		t.Errorf("files in the store after refusals (-want +got):\n%s", diff)
	}
}

// TestStore_LocalGone holds that a store whose directory goes away and comes back says so and works again.
func TestStore_LocalGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := open(t, "file://"+dir)
	mustPut(t, s, "a/b/c", "content")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "a/b/c", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put without a store: %v, want fs.ErrNotExist", err)
	}
	if err := s.Check(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Check without a store: %v, want fs.ErrNotExist", err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "a/b/c", "again")
	wantContent(t, s, "a/b/c", "again")
}

// TestStore_LocalMove holds that a file is taken as it is when nobody else can write to it, and else copied.
func TestStore_LocalMove(t *testing.T) {
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	sum := sha256.Sum256([]byte("content"))
	for _, c := range []struct {
		name      string
		otherName bool
	}{{"one name", false}, {"two names", true}} {
		t.Run(c.name, func(t *testing.T) {
			source := writeFile(t, "content")
			other := source + "2"
			if c.otherName {
				if err := os.Link(source, other); err != nil {
					t.Fatal(err)
				}
			}
			before, err := os.Stat(source)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.PutFile(t.Context(), "a", source, objects.PutOptions{Move: true, SHA256: sum}); err != nil {
				t.Fatalf("PutFile: %v", err)
			}
			after, err := os.Stat(filepath.Join(dir, "a"))
			if err != nil {
				t.Fatal(err)
			}
			if got := os.SameFile(before, after); got == c.otherName {
				t.Errorf("the object is the source's file: %v, want %v", got, !c.otherName)
			}
			if _, err := os.Lstat(source); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the source: %v, want it gone", err)
			}
			wantContent(t, s, "a", "content")
		})
	}
}

func TestStore_LocalMoveAcross(t *testing.T) {
	source := otherFileSystem(t)
	if err := os.WriteFile(source, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, "file://"+t.TempDir())
	wrong := objects.PutOptions{Move: true, SHA256: [32]byte{1}}
	if _, err := s.PutFile(t.Context(), "a", source, wrong); err == nil {
		t.Error("PutFile with another hash: no error")
	}
	if _, err := os.Stat(source); err != nil {
		t.Errorf("the source after a refusal: %v, want it where it was", err)
	}
	if _, err := s.PutFile(t.Context(), "a", source, objects.PutOptions{Move: true}); err != nil {
		t.Errorf("PutFile: %v", err)
	}
	wantContent(t, s, "a", "content")
	if _, err := os.Lstat(source); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the source: %v, want it gone", err)
	}
}

func TestStore_LocalDenied(t *testing.T) {
	obeyModes(t)
	dir := t.TempDir()
	s := open(t, "file://"+dir)
	mustPut(t, s, "a", "content")
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if _, err := s.Put(t.Context(), "a", nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Put: %v, want fs.ErrPermission", err)
	}
	if err := s.Delete(t.Context(), "a"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Delete: %v, want fs.ErrPermission", err)
	}
	wantContent(t, s, "a", "content")
}

// obeyModes takes from root, in this goroutine's thread, the right to write whatever the modes say. The thread ends with
// the test.
func obeyModes(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	sets[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
}

func TestStore_LocalStatFS(t *testing.T) {
	total, free, ok := open(t, "file://"+t.TempDir()).StatFS()
	if !ok || total == 0 || free > total {
		t.Errorf("StatFS = %d, %d, %v, want some bytes, not more of them free", total, free, ok)
	}
}

// otherFileSystem is a path for a file from where no rename leads to a test's directory.
func otherFileSystem(t *testing.T) string {
	t.Helper()
	var here, there unix.Stat_t
	if err := unix.Stat(t.TempDir(), &here); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "annexfs-test-")
	if err != nil || unix.Stat(dir, &there) != nil || here.Dev == there.Dev {
		t.Skipf("NOT RUN HERE: /dev/shm is no other file system: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "source")
}

// tree names all that lies below a directory, whatever the store says of it.
func tree(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
