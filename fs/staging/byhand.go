package staging

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
)

// ErrHeld says that another mount has the staging directory. It is a fault.ErrConflict.
var ErrHeld = fmt.Errorf("%w: another mount of this repository holds its staging directory", fault.ErrConflict)

// Hold takes a staging directory, until the file is closed or the process ends: only one may have a Tree on it. It is
// ErrHeld where somebody has it.
func Hold(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrHeld
		}
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// FindBatch finds a batch in a staging directory by its name, which may say whether it is below replace or append, and
// returns its slash-separated path below the root of the tree. It is fs.ErrNotExist where there is none, and
// fs.ErrInvalid where there are two.
func FindBatch(dir string, table dataset.TableRef, name string) (string, error) {
	ref := table.Reference
	base := path.Join(ref.ID.String(), string(table.Table))
	if !ref.Selector.IsZero() {
		base = path.Join(ref.ID.String()+"@"+ref.Selector.String(), string(table.Table))
	}
	candidates := []string{path.Join(replaceName, name), path.Join(appendName, name)}
	if strings.HasPrefix(name, replaceName+"/") || strings.HasPrefix(name, appendName+"/") {
		candidates = []string{name}
	}
	var found []string
	for _, c := range candidates {
		at, err := placeOf(strings.Split(path.Join(base, c), "/"))
		if err != nil {
			return "", err
		}
		if !at.isBatch() {
			return "", fmt.Errorf("%w: %q is no name of a batch, a directory below %s or %s of the table", iofs.ErrInvalid, name, replaceName, appendName)
		}
		if info, err := os.Stat(filepath.Join(dir, treeName, filepath.FromSlash(path.Join(base, c)))); err == nil && info.IsDir() {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no batch %s is staged below .annexfs/staging/%s: %w", name, base, iofs.ErrNotExist)
	case 1:
		return path.Join(base, found[0]), nil
	}
	return "", fmt.Errorf("%w: there are %s and %s; say which", iofs.ErrInvalid, found[0], found[1])
}

// CommitBatch publishes the batch at a path that FindBatch has found, as creating its _SUCCESS does, and leaves a
// _SUCCESS there.
func (t *Tree) CommitBatch(ctx context.Context, batch string) error {
	n := t.nodes.root
	for name := range strings.SplitSeq(batch, "/") {
		st, err := t.lstat(n, name)
		if err != nil {
			return err
		}
		n = t.nodes.hold(n, name, st)
		defer t.nodes.release(n)
	}
	if n.dir == nil {
		return syscall.ENOTDIR
	}
	at, err := t.place(n, successName)
	if err == nil {
		err = t.commit(ctx, n, at)
	}
	if err != nil {
		return explained(err)
	}
	f, err := os.OpenFile(filepath.Join(t.dir, filepath.FromSlash(batch), successName), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(setOwnerAndMode(f, 0o644, t.owner), f.Close())
}

// explained is an error with what to do about it.
func explained(err error) error {
	if _, advice := verdict(err); advice != "" {
		return fmt.Errorf("%w. %s", err, advice)
	}
	return err
}

// Reason is what the report says that lies beside a file of the tree at a slash-separated path, "" where there is none.
func Reason(dir, name string) string {
	data, err := os.ReadFile(filepath.Join(dir, treeName, filepath.FromSlash(name)) + errorSuffix)
	text, ok := strings.CutPrefix(string(data), reportHead)
	if err != nil || !ok {
		return ""
	}
	_, text, _ = strings.Cut(text, "\n") // which file it speaks of
	return strings.Join(strings.Fields(text), " ")
}
