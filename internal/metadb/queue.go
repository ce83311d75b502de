package metadb

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// queueWait is how long a process waits for its turn; then it asks SQLite all the same, which waits as long once more.
const queueWait = 10 * time.Second

// queue has the processes that write to one SQLite database wait for each other in the kernel, which wakes who is next.
// SQLite has who finds it locked sleep and ask again, up to ten times a second, and whoever writes all the time is hardly
// ever found between two transactions. Nothing but fairness rests on that: without it SQLite's lock still counts. Who
// migrates is alone by another lock of the same file.
type queue struct {
	file *os.File // nil where there is none
}

// Bytes of the file, each of which is a lock. Who writes has the turn; who is to write next has that one while he waits
// for it, so that who just had his turn cannot take it again before; promised is [Tx.Promise]; who migrates has migrating.
const (
	next = iota
	turn
	promised
	migrating
)

// migrationPause is how often who wants to migrate looks whether others are through.
const migrationPause = 20 * time.Millisecond

// openQueue opens the lock file beside the database; where that is not allowed there is no queue.
func openQueue(database string) queue {
	mode := os.FileMode(0o644) // as SQLite makes a database
	if info, err := os.Stat(database); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.OpenFile(database+"-queue", os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return queue{}
	}
	return queue{f}
}

// enter waits for the turn of this process, which has one transaction at a time, until leave is called.
func (q queue) enter(ctx context.Context) (leave func(), err error) {
	if q.file == nil {
		return func() {}, nil
	}
	myTurn := func() { q.unlock(turn) }
	if q.lock(next, unix.F_OFD_SETLK) == nil && q.lock(turn, unix.F_OFD_SETLK) == nil {
		q.unlock(next)
		return myTurn, nil
	}
	mine := make(chan struct{})
	go func() {
		defer close(mine)
		_ = q.lock(next, unix.F_OFD_SETLKW) // without the lock it is somebody's turn sooner
		_ = q.lock(turn, unix.F_OFD_SETLKW)
		q.unlock(next)
	}()
	patience := time.NewTimer(queueWait)
	defer patience.Stop()
	select {
	case <-mine:
		return myTurn, nil
	case <-patience.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	go func() {
		<-mine
		q.unlock(turn)
	}()
	return func() {}, err
}

// migrate waits until no other process migrates the database, and keeps others from it until leave is called.
func (q queue) migrate(ctx context.Context) (leave func(), err error) {
	if q.file == nil {
		return func() {}, nil
	}
	for {
		err := q.lock(migrating, unix.F_OFD_SETLK)
		if err == nil {
			return func() { q.unlock(migrating) }, nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return nil, err
		}
		select {
		case <-time.After(migrationPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lock is fcntl(2), during which the descriptor stays open.
func (q queue) lock(which int64, how int) error {
	return q.fcntl(how, &unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: which, Len: 1})
}

// unlock fails only where there is no lock.
func (q queue) unlock(which int64) {
	_ = q.fcntl(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Whence: io.SeekStart, Start: which, Len: 1})
}

func (q queue) fcntl(how int, l *unix.Flock_t) error {
	conn, err := q.file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for failed = unix.EINTR; errors.Is(failed, unix.EINTR); {
			failed = unix.FcntlFlock(fd, how, l)
		}
	})
	return errors.Join(err, failed)
}

func (q queue) close() error {
	if q.file == nil {
		return nil
	}
	return q.file.Close()
}
