package e2e_test

import (
	"errors"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/test/harness"
)

// TestSignals holds that a program which gets many signals, from a profiler's timer or the runtime of its language,
// meets no EINTR where a file system on a disk never gives one.
func TestSignals(t *testing.T) {
	u := harness.Users(t)[0]
	r := harness.NewRepo(t, u, harness.Backend{})
	hash := r.Register("big/table", harness.SampleManifest("signals"))
	r.RegisterRows(harness.Rows{Table: "big/table/orders", Hash: hash, Count: 2000})
	m := r.Mount()
	dir := m.Path("big/table/@" + hash + "/orders")
	names := harness.Names(t, dir)

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func(thread int) {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(unix.Getpid(), thread, syscall.SIGURG) // the thread is there until stopped is closed
			}
		}
	}(unix.Gettid())
	defer func() { close(stop); <-stopped }()

	interrupted := map[string]int{}
	buf := make([]byte, 256)
	for _, name := range names {
		path := filepath.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			interrupted["lstat: "+err.Error()]++
		}
		if _, err := unix.Lgetxattr(path, "user.annexfs.sha256", buf); err != nil {
			interrupted["getxattr: "+err.Error()]++
		}
		if err := unix.Lstat(filepath.Join(dir, "000000000-ffffffffffffffff.parquet"), &st); !errors.Is(err, unix.ENOENT) {
			interrupted["lstat of a missing name: "+err.Error()]++
		}
	}
	for what, n := range interrupted {
		t.Errorf("%d times of %d: %s", n, len(names), what)
	}
}
