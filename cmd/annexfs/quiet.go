package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// monitorSlack is how much later than it asks the Go runtime's monitor thread is woken. As long as requests come it asks
	// for every 20 µs, and each time takes a CPU from the program that waits for the answer: DuckDB's queries took 7 % longer
	// than over plain files, instead of 3 %.
	monitorSlack = 5 * time.Millisecond
	// commonSlack is Linux's own, for all other threads.
	commonSlack = 50 * time.Microsecond
	// minProcs is how many threads may run Go code at once, at least: one that is in a system call keeps its place until
	// the monitor takes it away, and others must not wait for that.
	minProcs = 16
	// restarted is the environment variable of a program that has restarted itself.
	restarted = "ANNEXFS_RESTARTED"
)

// quietMonitor lets the runtime's monitor thread sleep. Only that thread can set its slack, and it runs no code of ours;
// but it inherits that of the thread that starts the program, which therefore is started again, in the same process.
// Where any of it is refused, the daemon works all the same. To be called before anything is opened.
func quietMonitor() {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	if time.Duration(slack) < monitorSlack {
		if os.Getenv(restarted) != "" {
			return
		}
		runtime.LockOSThread() // a new image inherits from the thread that asks for it
		defer runtime.UnlockOSThread()
		if setSlack(monitorSlack) == nil {
			_ = syscall.Exec(program, os.Args, append(os.Environ(), restarted+"=1")) //nolint:gosec // this very program
			_ = setSlack(time.Duration(slack))
		}
		return
	}
	_ = os.Unsetenv(restarted) // not for fusermount3
	var each, all sync.WaitGroup
	all.Add(minProcs)
	// All at once, so that each has a thread of its own. Later threads inherit from these, or now and then from the monitor.
	for range minProcs {
		each.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			_ = setSlack(commonSlack)
			all.Done()
			all.Wait()
		})
	}
	each.Wait()
	runtime.GOMAXPROCS(max(minProcs, runtime.GOMAXPROCS(0)))
}

func setSlack(d time.Duration) error {
	return unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0)
}
