package staging

import (
	"context"
	"errors"
	iofs "io/fs"
	"log/slog"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/internal/fault"
)

// refusal is a verdict of staging itself.
type refusal struct {
	errno  syscall.Errno
	why    string
	advice string
}

func (r *refusal) Error() string { return r.why }

func (r *refusal) Is(target error) bool { return target == error(r.errno) || r.errno.Is(target) }

const (
	fixAndCopy  = "Correct the file and copy it here again, or remove it."
	tryAgain    = "Try again later."
	freeSpace   = "Free some space, and copy the file here again or rename it."
	askRegister = "Register a manifest that declares the table: copy it to manifest.json in the directory above."
)

// verdicts is the one place where an error becomes an errno and advice; the first match counts.
var verdicts = []struct {
	err    error
	errno  syscall.Errno
	advice string
}{
	{context.Canceled, syscall.EINTR, "It was interrupted. Copy the file here again."},
	{context.DeadlineExceeded, syscall.ETIMEDOUT, tryAgain},
	{syscall.ENOSPC, syscall.ENOSPC, freeSpace},
	{syscall.EDQUOT, syscall.EDQUOT, freeSpace},
	{fault.ErrCorrupt, syscall.EIO, "The repository is damaged. Check it before anything else is written."},
	{iofs.ErrNotExist, syscall.ENOENT, askRegister},
	{iofs.ErrExist, syscall.EEXIST, "What a path of a table holds never changes within a revision. Copy the file under another name, " +
		"or make a new revision: write all files into a directory below replace/ and create _SUCCESS there."},
	{iofs.ErrInvalid, syscall.EINVAL, fixAndCopy}, // before ErrConflict: a wrong schema is both, and will not pass
	{fault.ErrReadOnly, syscall.EROFS, ""},
	{fault.ErrConflict, syscall.EBUSY, "Another writer holds the table. " + tryAgain},
	{syscall.EPERM, syscall.EPERM, ""}, // before ErrPermission, which it is too
	{iofs.ErrPermission, syscall.EACCES, ""},
}

// verdict translates an error of any layer; what no rule knows is EIO, and never ENOSYS, which the kernel would take
// for "never ask again".
func verdict(err error) (errno syscall.Errno, advice string) {
	if err == nil {
		return 0, ""
	}
	var r *refusal
	if errors.As(err, &r) {
		return r.errno, r.advice
	}
	for _, v := range verdicts {
		if errors.Is(err, v.err) {
			return v.errno, v.advice
		}
	}
	if errors.As(err, &errno) && errno != syscall.ENOSYS {
		return errno, ""
	}
	return syscall.EIO, tryAgain
}

// status is the errno boundary for what is no verdict on a file: nothing below it logs.
func (t *Tree) status(op string, n *node, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	errno, _ := verdict(err)
	level := slog.LevelDebug
	if errno == syscall.EIO {
		level = slog.LevelError
	}
	t.log.Log(context.Background(), level, "staging request failed", "op", op, "inode", n.id, "errno", errno.Error(), "error", err)
	return fuse.Status(errno)
}
