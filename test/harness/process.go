package harness

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a running program.
type process struct {
	pid  int
	exe  string
	args []string
}

// processes are those whose program can be read: one's own, and as root everybody's.
func processes() []process {
	var found []process
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil {
			continue // a kernel thread, another user's, or gone
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
		found = append(found, process{pid, exe, args})
	}
	return found
}

// daemons are the running processes of the built program that name a path in their arguments.
func daemons(program, path string) []int {
	var pids []int
	for _, p := range processes() {
		if p.exe == program && strings.Contains(strings.Join(p.args, "\x00"), path) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// alive tells whether a process still runs. A zombie does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// WaitGone waits until a process has ended.
func WaitGone(t testing.TB, pid int) {
	t.Helper()
	Eventually(t, 20*time.Second, func() string {
		if alive(pid) {
			return "process " + strconv.Itoa(pid) + " runs"
		}
		return ""
	})
}

// mounted tells whether something is mounted on a path.
func mounted(path string) bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == path {
			return true
		}
	}
	return false
}

func itoa(n int) string { return strconv.Itoa(n) }

// kilobytes reads "  1234 kB".
func kilobytes(t testing.TB, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
