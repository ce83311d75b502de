package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/test/harness"
)

// TestReadOnly holds that every kind of write says EROFS, wherever it is tried.
func TestReadOnly(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		order := harness.Names(t, m.Path("shop/sales/@1.0.0/orders"))[0]
		dirs := []string{"", "shop", "shop/sales", "shop/sales/@1.0.0", "shop/sales/@" + s.First, "shop/sales/@latest/orders",
			"shop/sales/@1.0.0/photos/2026", "shop/sales/@1.0.0/orders/.revisions/active", ".annexfs", ".annexfs/blobs"}
		for _, dir := range dirs {
			for name, try := range writesIn(m.Path(dir)) {
				erofs(t, name+" in "+dir, try)
			}
		}
		files := []string{"shop/sales/@1.0.0/manifest.json", "shop/sales/@1.0.0/orders/" + order,
			"shop/sales/@1.0.0/orders/.table.json", "shop/sales/@1.0.0/photos/empty", ".annexfs/status.json"}
		for _, file := range files {
			for name, try := range writesTo(m.Path(file)) {
				erofs(t, name+" of "+file, try)
			}
		}
		erofs(t, "remove a symlink", func() error { return os.Remove(m.Path("shop/sales/@latest")) })
		erofs(t, "remove a directory", func() error { return syscall.Rmdir(m.Path("shop/sales/@1.0.0")) })
		orders(t, m.Path("shop/sales/@1.0.0/orders"), s.Orders)
	})
}

func writesIn(dir string) map[string]func() error {
	path := dir + "/new"
	return map[string]func() error{
		"create":  func() error { return os.WriteFile(path, []byte("x"), 0o644) },
		"mkdir":   func() error { return os.Mkdir(path, 0o755) },
		"symlink": func() error { return os.Symlink("target", path) },
		"mkfifo":  func() error { return unix.Mkfifo(path, 0o644) },
		"chmod":   func() error { return os.Chmod(dir, 0o777) },
		"utimes":  func() error { return os.Chtimes(dir, time.Now(), time.Now()) },
		"setxattr": func() error {
			return unix.Setxattr(dir, "user.annexfs.new", []byte("x"), 0)
		},
	}
}

func writesTo(file string) map[string]func() error {
	open := func(flags int) func() error {
		return func() error {
			f, err := os.OpenFile(file, flags, 0)
			if err == nil {
				err = errors.Join(errors.New("it opened"), f.Close())
			}
			return err
		}
	}
	return map[string]func() error{
		"open to write":    open(os.O_WRONLY),
		"open to update":   open(os.O_RDWR),
		"open to append":   open(os.O_WRONLY | os.O_APPEND),
		"open to truncate": open(os.O_WRONLY | os.O_TRUNC),
		"truncate":         func() error { return os.Truncate(file, 0) },
		"unlink":           func() error { return syscall.Unlink(file) },
		"rename":           func() error { return os.Rename(file, file+".new") },
		"link":             func() error { return os.Link(file, file+".new") },
		"chmod":            func() error { return os.Chmod(file, 0o666) },
		"chown":            func() error { return os.Chown(file, os.Geteuid(), os.Getegid()) },
		"utimes":           func() error { return os.Chtimes(file, time.Now(), time.Now()) },
		"removexattr":      func() error { return unix.Removexattr(file, "user.annexfs.sha256") },
	}
}

func erofs(t *testing.T, what string, try func() error) {
	t.Helper()
	if err := try(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("%s: got %v, want EROFS", what, err)
	}
}

// TestReadOnly_Access holds what access(2), chdir(2) and execve(2) say, to the owner of the mount and to others that it
// lets in: the modes are 0555 for directories and 0444 for files, for root too, and nothing can be written.
func TestReadOnly_Access(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		accessible(t, m)
		if u.UID != 0 {
			return // nobody else is let in
		}
		for _, other := range harness.Users(t) {
			if other.UID != u.UID {
				harness.As(t, "as "+other.Name, other, func(t *testing.T) { accessible(t, m) })
			}
		}
	})
}

func accessible(t *testing.T, m *harness.Mount) {
	t.Helper()
	order := m.Path("shop/sales/@1.0.0/orders", harness.Names(t, m.Path("shop/sales/@1.0.0/orders"))[0])
	for _, dir := range []string{"", "shop/sales/@1.0.0", "shop/sales/@latest/orders", "shop/sales/@1.0.0/photos/2026", ".annexfs/blobs"} {
		accesses(t, m.Path(dir), unix.R_OK|unix.X_OK, nil)
		accesses(t, m.Path(dir), unix.W_OK, syscall.EROFS)
		cmd := exec.Command("pwd")
		cmd.Dir = m.Path(dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("running in %s: %v: %s", dir, err, out)
		}
	}
	if err := unix.Faccessat(unix.AT_FDCWD, m.Path("shop/sales/@latest"), unix.X_OK, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EACCESS); err != nil {
		t.Errorf("access of a symlink: got %v, want none", err)
	}
	for _, file := range []string{order, m.Path("shop/sales/@1.0.0/manifest.json"), m.Path("shop/sales/@1.0.0/photos/empty"), m.Path(".annexfs/status.json")} {
		accesses(t, file, unix.F_OK, nil)
		accesses(t, file, unix.R_OK, nil)
		accesses(t, file, unix.W_OK, syscall.EROFS)
		accesses(t, file, unix.X_OK, syscall.EACCES)
		accesses(t, file, unix.R_OK|unix.X_OK, syscall.EACCES)
		if err := exec.Command(file).Run(); !errors.Is(err, syscall.EACCES) {
			t.Errorf("executing %s: got %v, want EACCES", file, err)
		}
	}
}

func accesses(t *testing.T, path string, mode uint32, want error) {
	t.Helper()
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, 0); !errors.Is(err, want) {
		t.Errorf("access %s, mode %o: got %v, want %v", path, mode, err, want)
	}
}
