package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/internal/fault"
)

// errNeverExists is a miss that no change of the database can mend: the name does not parse.
var errNeverExists = neverExists{}

type neverExists struct{}

func (neverExists) Error() string        { return "no such name is possible here" }
func (neverExists) Is(target error) bool { return target == iofs.ErrNotExist }

// errnoTable is the one place where an error becomes an errno; the first match counts.
var errnoTable = []struct {
	err   error
	errno syscall.Errno
}{
	{context.Canceled, syscall.EINTR},
	{context.DeadlineExceeded, syscall.ETIMEDOUT},
	{fault.ErrCorrupt, syscall.EIO}, // before ErrNotExist: a registered file whose object is gone is both
	{iofs.ErrNotExist, syscall.ENOENT},
	{iofs.ErrExist, syscall.EEXIST},
	{fault.ErrReadOnly, syscall.EROFS},
	{fault.ErrConflict, syscall.EBUSY},
	{iofs.ErrPermission, syscall.EACCES},
	{iofs.ErrInvalid, syscall.EINVAL},
}

// errnoOf translates an error of any layer; what no rule knows is EIO, and never ENOSYS, which the kernel would take
// for "never ask again".
func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	for _, row := range errnoTable {
		if errors.Is(err, row.err) {
			return row.errno
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) && errno != syscall.ENOSYS {
		return errno
	}
	return syscall.EIO
}

// status is the errno boundary: it logs what a reader cannot see in an errno, and nothing below it logs.
func (t *tree) status(op string, ino uint64, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	errno := errnoOf(err)
	level := slog.LevelDebug
	if errno == syscall.EIO || errno == syscall.ETIMEDOUT {
		level = slog.LevelError
		t.stats.errors.Add(1)
	}
	if !t.log.Enabled(context.Background(), level) {
		return fuse.Status(errno)
	}
	t.log.Log(context.Background(), level, "request failed", "op", op, "inode", ino, "errno", errno.Error(), "error", err)
	return fuse.Status(errno)
}
