package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	mount "github.com/annexfs/annexfs/fs"
)

// newMountShell has a repository with one file in one version, and a mount point.
func newMountShell(t *testing.T) (*shell, string) {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("NOT RUN HERE: mounting: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := newShell(t)
	s.register("one")
	s.ok("tag", "set", "shop/sales", "1.0.0")
	s.ok("add", "shop/sales/orders", s.orders("a.parquet", 1))
	t.Setenv(asProgram, "1")
	point := filepath.Join(s.dir, "mnt")
	t.Cleanup(func() {
		if mounts, _ := mount.MountsBelow(point); len(mounts) > 0 {
			t.Errorf("%s is still mounted", point)
			execute(context.Background(), "", "umount", point)
		}
	})
	return s, point
}

// mounts are the repository's mounts by status.
func (s *shell) mounts() []mountRow {
	s.Helper()
	var d struct{ Mounts []mountRow }
	s.json(&d, "status")
	return d.Mounts
}

func TestMount_Background(t *testing.T) {
	s, point := newMountShell(t)
	if got := s.ok("mount"); got != point {
		t.Errorf("mount: got %q, want %q", got, point)
	}
	orders, err := os.ReadDir(filepath.Join(point, "shop/sales/@latest/orders"))
	if err != nil || len(orders) != 1 {
		t.Errorf("the mounted table: %v, %v; want one file", orders, err)
	}
	m := s.mounts()
	if len(m) != 1 || m[0].Mountpoint != point || m[0].State != stateRunning || !bytes.Contains(m[0].Status, []byte(`"heard_at"`)) {
		t.Fatalf("status: got %+v", m)
	}
	if text := s.ok("status"); !strings.Contains(text, point) || !strings.Contains(text, stateRunning) {
		t.Errorf("status: got %s", text)
	}
	s.fails(4, []string{point, "annexfs umount"}, "mount")
	s.ok("umount", point)
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", m[0].PID)); err == nil { // our child: only a zombie may be left
		t.Errorf("the daemon is still there after umount: %s", exe)
	}
	if got := s.mounts(); len(got) != 0 {
		t.Errorf("status after umount: got %+v", got)
	}
	s.fails(3, []string{"nothing is mounted on " + point}, "umount", point)
	if log, err := os.ReadFile(m[0].Log); err != nil || !strings.Contains(string(log), "msg=unmounted") {
		t.Errorf("the log: %v\n%s", err, log)
	}
}

func TestMount_JSON(t *testing.T) {
	s, point := newMountShell(t)
	var m mountRow
	s.json(&m, "mount", point)
	if m.Mountpoint != point || m.PID <= 0 || m.PID != s.mounts()[0].PID {
		t.Errorf("mount --json: got %+v", m)
	}
	var u struct{ Mountpoint string }
	s.json(&u, "umount", point)
	if u.Mountpoint != point {
		t.Errorf("umount --json: got %+v", u)
	}
}

func TestMount_Refused(t *testing.T) {
	s, _ := newMountShell(t)
	s.fails(3, []string{"does not exist", "mkdir -p"}, "mount", filepath.Join(s.in, "none"))
	s.fails(4, []string{"not empty"}, "mount", s.in)
	s.fails(1, []string{"not a directory"}, "mount", s.orders("file"))
	s.fails(1, []string{"is no annexfs but proc"}, "umount", "/proc")
	s.fails(3, []string{"does not exist"}, "mount", "--foreground", filepath.Join(s.in, "none"))
	if got := s.mounts(); len(got) != 0 {
		t.Errorf("status after refusals: got %+v", got)
	}
}

func TestUmount_Busy(t *testing.T) {
	s, point := newMountShell(t)
	s.ok("mount")
	f, err := os.Open(filepath.Join(point, "shop/sales/@latest/manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.fails(4, []string{point + " is in use by process ", "try again"}, "umount", point)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.ok("umount", point)
}

// TestUmount_Dead holds that a daemon that was killed is seen, and can be cleaned up after.
func TestUmount_Dead(t *testing.T) {
	s, point := newMountShell(t)
	s.ok("mount")
	pid := s.mounts()[0].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.mounts()[0].State == stateDead })
	if a := s.run("status"); !strings.Contains(a.err, "annexfs umount "+point) {
		t.Errorf("status: got %q", a.err)
	}
	s.fails(4, []string{"annexfs umount"}, "mount")
	s.ok("umount", point)
	if got := s.mounts(); len(got) != 0 {
		t.Errorf("status after umount: got %+v", got)
	}
	s.ok("mount")
	s.ok("umount", point)
}

// TestMount_Foreground ends a mount as a signal does, idle and in use.
func TestMount_Foreground(t *testing.T) {
	for _, busy := range []bool{false, true} {
		_, point := newMountShell(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan answer, 1)
		go func() { done <- execute(ctx, "", "mount", "-f", point) }()
		path := filepath.Join(point, "shop/sales/@latest/manifest.json")
		eventually(t, func() bool { _, err := os.Stat(path); return err == nil })
		if busy {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			eventually(t, func() bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if a := <-done; a.status != 0 || !strings.Contains(a.err, "msg=unmounted") {
			t.Errorf("a mount that is told to end (in use: %t): status %d, %s", busy, a.status, a.err)
		}
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to that in time")
		}
	}
}
