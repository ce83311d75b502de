package e2e_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annexfs/annexfs/test/harness"
)

// TestMount_Background holds that mount comes back with a usable tree and leaves a daemon that holds on to nothing.
func TestMount_Background(t *testing.T) {
	harness.Each(t, func(t *testing.T, u harness.User, b harness.Backend) {
		s := harness.NewSample(t, u, b)
		m := s.Mount() // returns when the program's output is closed: the daemon has not kept it
		listed(t, m.Path("shop/sales/@1.0.0"), "manifest.json", "orders", "photos")
		cwd, err := os.Readlink(filepath.Join("/proc", itoa(m.PID), "cwd"))
		if err != nil {
			t.Fatal(err)
		}
		if cwd != "/" && !strings.HasPrefix(cwd, s.Dir) {
			t.Errorf("the daemon keeps %s from being unmounted", cwd)
		}
		if result := s.Run("status"); result.Code != 0 || !strings.Contains(result.Stdout, m.Point) {
			t.Errorf("status: exit status %d, want 0 and the mount point\n%s%s", result.Code, result.Stdout, result.Stderr)
		}
		m.Unmount()
		listed(t, m.Point)
	})
}

// TestMount_DefaultPoint holds that the configuration names a mount point.
func TestMount_DefaultPoint(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		point := filepath.Join(s.Dir, "mnt")
		if err := os.MkdirAll(point, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Exec("fusermount3", "-uqz", point) })
		s.Must("mount")
		listed(t, point, "shop")
		s.Must("umount", point)
		listed(t, point)
	})
}

// TestMount_Quiet holds that in the daemon, however it was started, the runtime's monitor thread may be woken late, and that
// threads which wait for something may not.
func TestMount_Quiet(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		quiet := func(pid int) {
			t.Helper()
			if name := strings.TrimSpace(harness.ReadFile(t, filepath.Join("/proc", itoa(pid), "comm"))); name != "annexfs" {
				t.Errorf("the process is called %q", name)
			}
			if !u.Root() {
				return // Linux tells nobody
			}
			const late, prompt = 5 * time.Millisecond, 50 * time.Microsecond
			counts := map[time.Duration]int{}
			for _, thread := range harness.Names(t, filepath.Join("/proc", itoa(pid), "task")) {
				slack, err := time.ParseDuration(strings.TrimSpace(harness.ReadFile(t, filepath.Join("/proc", thread, "timerslack_ns"))) + "ns")
				if err != nil {
					t.Fatal(err)
				}
				counts[slack]++
			}
			if len(counts) != 2 || counts[late] == 0 || counts[prompt] <= counts[late] {
				t.Errorf("threads by how late they may be woken: %v; want a few with %v, and the rest with %v", counts, late, prompt)
			}
		}
		m := s.Mount()
		quiet(m.PID)
		m.Unmount()
		cmd := s.Command("annexfs", "mount", "--foreground", m.Point)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, 10*time.Second, func() string { return exists(m.Path("shop"), true) })
		quiet(cmd.Process.Pid) // the very process that was started
		m.Unmount()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestMount_Signals holds that a foreground mount ends cleanly on each of the signals that ask for it.
func TestMount_Signals(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			harness.EachUser(t, func(t *testing.T, u harness.User) {
				s := harness.NewSample(t, u, harness.Backend{})
				point := s.NewPoint()
				var stderr bytes.Buffer
				cmd := s.Command("annexfs", "mount", "--foreground", point)
				cmd.Stderr = &stderr
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				harness.Eventually(t, 10*time.Second, func() string { return exists(filepath.Join(point, "shop"), true) })
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ended with %v\n%s", err, stderr.String())
				}
				listed(t, point)
			})
		})
	}
}

// TestMount_SignalBackground holds that a daemon ends as cleanly as a foreground mount.
func TestMount_SignalBackground(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		m := harness.NewSample(t, u, harness.Backend{}).Mount()
		if err := syscall.Kill(m.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		harness.WaitGone(t, m.PID)
		listed(t, m.Point)
	})
}

// TestMount_SignalBusy holds that a signal takes the tree away at once, and that a file which is open stays readable
// until it is closed, when the daemon ends.
func TestMount_SignalBusy(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		table := m.Path("shop/sales/@1.0.0/orders")
		f, err := os.Open(filepath.Join(table, harness.Names(t, table)[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(m.PID, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		harness.Eventually(t, 10*time.Second, func() string { return exists(m.Path("shop"), false) })
		content, err := io.ReadAll(f)
		if err != nil {
			t.Errorf("reading on: %v", err)
		}
		equal(t, "content read after the signal", string(content), harness.ReadFile(t, s.Orders[0]))
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		harness.WaitGone(t, m.PID)
	})
}

// TestMount_Killed holds that what a killed daemon leaves can be cleared and mounted again.
func TestMount_Killed(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		if err := syscall.Kill(m.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		harness.WaitGone(t, m.PID)
		refused(t, s.Run("mount", m.Point), 4, m.Point, "umount")
		s.Must("umount", m.Point)
		listed(t, m.Point)
		again := s.MountOn(m.Point)
		orders(t, again.Path("shop/sales/@1.0.0/orders"), s.Orders)
	})
}

// TestMount_Refused holds that what stands in the way of a mount is told, with a way on.
func TestMount_Refused(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		m := s.Mount()
		refused(t, s.Run("mount", m.Point), 4, m.Point, "mounted")
		listed(t, m.Point, "shop")

		dir := harness.Dir(t)
		refused(t, s.Run("mount", filepath.Join(dir, "none")), 3, filepath.Join(dir, "none"), "mkdir")
		file := filepath.Join(dir, "file")
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, s.Run("mount", file), 1, file, "not a directory")
		refused(t, s.Run("mount", dir), 4, dir, "not empty")
		refused(t, s.Run("--repo", dir, "mount", m.Point), 3, dir, "annexfs init")
		refused(t, s.Run("umount", dir), 3, dir)
	})
}

// TestMount_NoDevice hides /dev/fuse in a mount namespace.
func TestMount_NoDevice(t *testing.T) {
	const hide = `mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && eval "$1" && shift && exec "$@"`
	cases := map[string]struct{ prepare, want string }{
		"Missing":   {"true", "modprobe"},
		"NoDevice":  {"touch /dev/fuse", "/dev/fuse"},
		"Forbidden": {"mknod -m 600 /dev/fuse c 10 229", "chmod"},
	}
	if os.Getuid() != 0 {
		t.Skip("NOT RUN HERE: hiding /dev/fuse needs root")
	}
	for name, c := range cases {
		for _, u := range harness.Users(t) {
			if u.Root() && name == "Forbidden" {
				continue // nothing is forbidden to root
			}
			t.Run(name+"/"+u.Name, func(t *testing.T) {
				// Root makes all of it, because the user's thread may not unshare.
				dir := harness.Dir(t)
				r := harness.Open(t, u, filepath.Join(dir, "repo"), harness.Backend{})
				r.Must("init", r.Dir)
				point := r.NewPoint()
				r.MustExec("chown", "-R", itoa(u.UID)+":"+itoa(u.GID), r.Dir, point)
				args := []string{"-m", "sh", "-c", hide, "sh", c.prepare, "setpriv", "--reuid", itoa(u.UID), "--regid", itoa(u.GID),
					"--clear-groups", harness.Program(t), "mount", point}
				refused(t, r.Exec("unshare", args...), -1, "/dev/fuse", c.want)
			})
		}
	}
}

// TestMount_NoHelper holds that an ordinary user is told of a missing fusermount3, and that root does not need it.
func TestMount_NoHelper(t *testing.T) {
	harness.EachUser(t, func(t *testing.T, u harness.User) {
		s := harness.NewSample(t, u, harness.Backend{})
		point := s.NewPoint()
		env := s.Env
		s.Env = append(append([]string{}, env...), "PATH="+filepath.Dir(harness.Program(t)))
		result := s.Run("mount", point)
		s.Env = env
		if !u.Root() {
			refused(t, result, -1, "fusermount3", "fuse3")
			return
		}
		if result.Code != 0 {
			t.Fatalf("as root without fusermount3: exit status %d: %s", result.Code, result.Stderr)
		}
		listed(t, point, "shop")
	})
}

// refused checks that a command failed with a status (-1: any but 0) and a message of one line that says all of these.
func refused(t *testing.T, got harness.Result, code int, says ...string) {
	t.Helper()
	if got.Code == 0 || code >= 0 && got.Code != code {
		t.Errorf("exit status %d, want %s\n%s%s", got.Code, strings.Replace(strconv.Itoa(code), "-1", "an error", 1),
			got.Stdout, got.Stderr)
	}
	for _, word := range says {
		if !strings.Contains(got.Stderr, word) {
			t.Errorf("the message does not say %q: %s", word, got.Stderr)
		}
	}
	if got.Stdout != "" {
		t.Errorf("stdout of a refusal: %q", got.Stdout)
	}
}
