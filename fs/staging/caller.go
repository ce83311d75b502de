package staging

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pfSignaled is the kernel's flag of a thread that a signal has killed.
	pfSignaled = 0x400
	// shortRequest is done before anybody could want it to end: to watch it would take longer than most last.
	shortRequest = 20 * time.Millisecond
)

// caller is a process: the number of its first thread, 0 where it is not to be known (another pid namespace).
type caller uint32

// callerOf finds the process of a thread. It costs a system call, and reads /proc only for other threads than the first.
func callerOf(thread uint32) caller {
	if thread == 0 {
		return 0
	}
	if err := unix.Tgkill(int(thread), int(thread), 0); err == nil || errors.Is(err, unix.EPERM) {
		return caller(thread) // signal 0 is none, and the thread is the first of the process with its number
	}
	data, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(thread), 10) + "/status")
	if err != nil {
		return caller(thread)
	}
	_, after, found := bytes.Cut(data, []byte("\nTgid:"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	group, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 10, 32)
	if !found || err != nil {
		return caller(thread)
	}
	return caller(group)
}

// is tells whether two callers are one process; who cannot be known is taken for the same.
func (c caller) is(other caller) bool { return c == other || c == 0 || other == 0 }

// wasKilled tells whether a thread that closes its files does so because a signal has killed it.
func wasKilled(thread uint32) bool {
	if thread == 0 {
		return false
	}
	proc := "/proc/" + strconv.FormatUint(uint64(thread), 10)
	// Who is ending has given up his memory, and with it his program, before his files; to ask for that is cheap.
	if _, err := unix.Readlink(proc+"/exe", make([]byte, 1)); err == nil {
		return false
	}
	data, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return false
	}
	return killedIn(data)
}

// killedIn reads the flags of /proc/<pid>/stat: the seventh field after the program's name, which may hold anything.
func killedIn(stat []byte) bool {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
	return err == nil && flags&pfSignaled != 0
}

// interruptible is the context of a request that may take long. It ends when the thread that waits is being killed, and
// not at any other signal: Go programs, for one, signal themselves all the time.
func (t *Tree) interruptible(cancel <-chan struct{}, thread uint32) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(t.ctx)
	watch := time.AfterFunc(shortRequest, func() {
		select {
		case <-cancel:
			if isDying(thread) {
				stop()
			}
		case <-ctx.Done():
		}
	})
	return ctx, func() { watch.Stop(); stop() }
}

// isDying tells whether a fatal signal waits for a thread; the kernel turns each of them into SIGKILL.
func isDying(thread uint32) bool {
	data, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(thread), 10) + "/status")
	if err != nil {
		return true
	}
	for _, field := range []string{"\nSigPnd:", "\nShdPnd:"} {
		_, after, _ := bytes.Cut(data, []byte(field))
		line, _, _ := bytes.Cut(after, []byte("\n"))
		pending, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 64)
		if err == nil && pending&(1<<(unix.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}
