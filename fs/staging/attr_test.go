package staging_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/fs/staging"
)

func (s *site) stat(name string) syscall.Stat_t {
	s.t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(s.path(name), &st); err != nil {
		s.t.Fatalf("stat %s: %v", name, err)
	}
	return st
}

func TestAttr_Set(t *testing.T) {
	s := mount(t)
	then := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	for _, name := range []string{"orders/waits", "orders/ghost.parquet", "orders/dir"} {
		if name == "orders/dir" {
			s.mkdir(name)
		} else {
			s.mustWrite(name, good)
		}
		before := s.stat(name)
		if err := os.Chmod(s.path(name), 0o751); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Chtimes(s.path(name), then, then); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		st := s.stat(name)
		if got := st.Mode & 0o7777; got != 0o751 {
			t.Errorf("%s: mode %o, want 751", name, got)
		}
		if got := time.Unix(st.Mtim.Unix()).UTC(); !got.Equal(then) {
			t.Errorf("%s: modified %v, want %v", name, got, then)
		}
		if st.Ino != before.Ino || st.Ino == 0 {
			t.Errorf("%s: inode %d, was %d", name, st.Ino, before.Ino)
		}
		if err := os.Chown(s.path(name), os.Getuid(), os.Getgid()); err != nil {
			t.Errorf("%s: chown: %v", name, err)
		}
	}
	if got := s.stat("orders/ghost.parquet").Size; got != int64(len(good)) {
		t.Errorf("a ghost has %d bytes, want %d", got, len(good))
	}
}

func TestAttr_SetIDBits(t *testing.T) {
	s := mount(t)
	s.mustWrite("orders/tool", good)
	if err := os.Chmod(s.path("orders/tool"), 0o4755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if got := s.stat("orders/tool").Mode & 0o7777; got != 0o755 {
		t.Errorf("mode %o, want 755: a written file must not keep the bit", got)
	}
}

func TestAttr_NotSupported(t *testing.T) {
	s := mount(t)
	f := s.open("orders/waits", create)
	wantErrno(t, "fallocate", unix.Fallocate(int(f.Fd()), 0, 0, 100), syscall.EOPNOTSUPP)
	wantErrno(t, "setxattr", unix.Fsetxattr(int(f.Fd()), "user.x", []byte("y"), 0), syscall.EOPNOTSUPP)
	wantErrno(t, "link", os.Link(s.path("orders/waits"), s.path("orders/other")), syscall.EPERM)
	wantErrno(t, "symlink", os.Symlink("waits", s.path("orders/other")), syscall.EPERM)
	wantErrno(t, "mkfifo", syscall.Mkfifo(s.path("orders/other"), 0o644), syscall.EPERM)
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		t.Errorf("a record lock: %v", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(s.path("orders"), &st); err != nil || st.Blocks == 0 || st.Namelen != 255 {
		t.Errorf("statfs: %d blocks, names of %d bytes, %v", st.Blocks, st.Namelen, err)
	}
	if err := f.Sync(); err != nil {
		t.Errorf("fsync: %v", err)
	}
}

// TestAttr_OtherUser holds that who may do what is the kernel's to say, by the modes of the staged files.
func TestAttr_OtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN HERE: only root can play another user")
	}
	s := mount(t, func(o *staging.Options) { o.UID, o.GID = nobody, nobody })
	if err := os.Chmod(s.mnt+"/../..", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		uid    string
		script string
		ok     bool
	}{
		{"65534", "printf x > $S/images/a && printf y > $S/images/b~", true},
		{"65533", "printf x > $S/images/c", false},
		{"65533", "cat $S/images/b~", true},
		{"65533", "printf z >> $S/images/b~", false},
		{"65533", "chmod 777 $S/images/b~", false},
		{"0", "chown 65533 $S/images/b~", true},
		{"65533", "printf z >> $S/images/b~", true},
	} {
		out, err := s.shell("setpriv --reuid " + step.uid + " --regid " + step.uid + " --clear-groups bash -c '" + step.script + "'")
		if (err == nil) != step.ok {
			t.Errorf("user %s: %s: %v: %s", step.uid, step.script, err, out)
		}
	}
	if st := s.stat("images/b~"); st.Uid != 65533 || st.Gid != nobody {
		t.Errorf("owner %d:%d, want 65533:65534", st.Uid, st.Gid)
	}
	s.wantTable(images, "a")
}

func TestAttr_Expiry(t *testing.T) {
	s := mount(t, func(o *staging.Options) { o.GhostLife = time.Millisecond })
	s.mustWrite("images/a", []byte("x"))
	eventually(t, "the ghost's end", func() bool { return !s.exists("images/a") })
	s.mustWrite("images/a", []byte("x"))
	s.wantTable(images, "a")
}
