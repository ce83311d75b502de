package fs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/fs"
)

func bytesOf(s string) io.Reader { return strings.NewReader(s) }

func names(t *testing.T, dir string) []string {
	t.Helper()
	var got []string
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		got = append(got, e.Name())
	}
	return got
}

// modes are the ways in which the kernel reads files.
func modes(t *testing.T, test func(t *testing.T, o fs.Options)) {
	t.Run("passthrough", func(t *testing.T) { test(t, fs.Options{}) })
	t.Run("daemon", func(t *testing.T) { test(t, fs.Options{NoPassthrough: true}) })
}

func TestMount_Tree(t *testing.T) {
	modes(t, func(t *testing.T, o fs.Options) {
		r := newRepo(t)
		orders := r.orders(false, "one", "two", "three")
		r.images(false, "cats/tom.jpg", "meow", "cats/small/kit.jpg", "mew", "readme", "text", ".gitignore", "*.tmp")
		mnt, _ := r.mount(o)
		version := filepath.Join(mnt, "acme/sales/@1.0.0")
		if diff := cmp.Diff([]string{"acme"}, names(t, mnt)); diff != "" {
			t.Error("root: " + diff)
		}
		if diff := cmp.Diff([]string{"@1.0.0", "@dev", "@latest"}, names(t, filepath.Dir(version))); diff != "" {
			t.Error("dataset: " + diff)
		}
		if diff := cmp.Diff([]string{".gitignore", "cats", "readme"}, names(t, version+"/images")); diff != "" {
			t.Error("images: " + diff)
		}
		if err := fstest.TestFS(os.DirFS(version), "manifest.json", "orders/"+orders[2], "images/cats/small/kit.jpg"); err != nil {
			t.Error(err)
		}
		got := must[[]byte](t)(os.ReadFile(mnt + "/acme/sales/@latest/images/cats/small/kit.jpg"))
		if string(got) != "mew" {
			t.Errorf("kit.jpg holds %q", got)
		}
		target := must[string](t)(os.Readlink(mnt + "/acme/sales/@dev"))
		if want := "@" + r.hash.String(); target != want {
			t.Errorf("@dev points to %s, want %s", target, want)
		}
	})
}

func TestMount_ReadOnly(t *testing.T) {
	r := newRepo(t)
	file := r.orders(false, "one")[0]
	mnt, _ := r.mount(fs.Options{})
	dir := filepath.Join(mnt, "acme/sales/@1.0.0/orders")
	path := filepath.Join(dir, file)
	for what, err := range map[string]error{
		"create":   os.WriteFile(dir+"/new", nil, 0o644),
		"write":    os.WriteFile(path, []byte("x"), 0o644),
		"append":   func() error { _, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); return err }(),
		"truncate": os.Truncate(path, 0),
		"mkdir":    os.Mkdir(dir+"/d", 0o755),
		"remove":   os.Remove(path),
		"rename":   os.Rename(path, path+"2"),
		"link":     os.Link(path, path+"2"),
		"symlink":  os.Symlink("x", dir+"/l"),
		"chmod":    os.Chmod(path, 0o600),
		"setxattr": syscall.Setxattr(path, "user.x", []byte("y"), 0),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v, want EROFS", what, err)
		}
	}
}

func TestMount_ControlNames(t *testing.T) {
	r := newRepo(t)
	file := r.orders(false, "one")[0]
	mnt, _ := r.mount(fs.Options{})
	table := mnt + "/acme/sales/@1.0.0/orders"
	active := must[string](t)(os.Readlink(table + "/.revisions/active"))
	if diff := cmp.Diff([]string{active, "active"}, names(t, table+"/.revisions")); diff != "" {
		t.Error(".revisions: " + diff)
	}
	if diff := cmp.Diff([]string{file}, names(t, table+"/.revisions/active")); diff != "" {
		t.Error("active: " + diff)
	}
	info := string(must[[]byte](t)(os.ReadFile(table + "/.table.json")))
	for _, want := range []string{`"files": 1`, `"rows": 1`, active} {
		if !strings.Contains(info, want) {
			t.Errorf(".table.json lacks %s: %s", want, info)
		}
	}
	for _, name := range []string{"/.git", "/x", "/acme/sales/@01.0.0", "/acme/sales/1.0.0", "/acme/sales/@1.0.0/orders/x.parquet",
		"/acme/sales/@1.0.0/nothing", "/.annexfs/blobs/x", "/acme/sales/@1.0.0/orders/.at/2999-01-01T00:00:00Z"} {
		if _, err := os.Lstat(mnt + name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want not found", name, err)
		}
	}
}

func TestMount_Blobs(t *testing.T) {
	modes(t, func(t *testing.T, o fs.Options) {
		r := newRepo(t)
		key, _, err := r.Files.Insert(t.Context(), bytesOf("hello"), "greeting.txt")
		if err != nil {
			t.Fatal(err)
		}
		mnt, _ := r.mount(o)
		blobs := mnt + "/.annexfs/blobs"
		for _, path := range []string{blobs + "/" + key.String(), blobs + "/091/de9/" + key.String()} {
			if got := string(must[[]byte](t)(os.ReadFile(path))); got != "hello" {
				t.Errorf("%s holds %q", path, got)
			}
		}
		if diff := cmp.Diff([]string{"091"}, names(t, blobs)); diff != "" {
			t.Error("blobs: " + diff)
		}
		if diff := cmp.Diff([]string{key.String()}, names(t, blobs+"/091/de9")); diff != "" {
			t.Error("blobs/091/de9: " + diff)
		}
		for _, miss := range []string{"/092", "/091/de8", "/091/de8/" + key.String(), "/091/" + key.String()} {
			if _, err := os.Lstat(blobs + miss); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v, want not found", miss, err)
			}
		}
	})
}

func TestMount_Xattr(t *testing.T) {
	r := newRepo(t)
	file := r.orders(false, "one")[0]
	mnt, _ := r.mount(fs.Options{})
	path := mnt + "/acme/sales/@1.0.0/orders/" + file
	buf := make([]byte, 256)
	n, err := syscall.Getxattr(path, "user.annexfs.sha256", buf)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(buf[:n]), "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"; got != want {
		t.Errorf("sha256 is %s, want %s", got, want)
	}
	if _, err := syscall.Getxattr(path, "security.selinux", buf); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("security.selinux: %v, want not supported, or ls asks for every file", err)
	}
	if _, err := syscall.Getxattr(path, "user.other", buf); !errors.Is(err, syscall.ENODATA) {
		t.Errorf("user.other: %v, want no data", err)
	}
}
