// Package durable puts files on a local file system so that a crash leaves each of them whole or not there.
// It owns the order of write, fsync and rename, and the names that a crash may leave behind.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the name of every file that is not finished.
const tempPrefix = ".annexfs-tmp-"

// Mode is the mode of every finished file: what is in a store is never written again.
const Mode fs.FileMode = 0o444

// maxKnown bounds the directories that a Tree remembers.
const maxKnown = 1 << 14

// ErrCopy says that a file cannot be taken by renaming it: copy it.
var ErrCopy = errors.New("file has to be copied")

// IsTemp reports whether a file of this base name is unfinished: being written now, or left behind by a crash.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// Tree writes durable files below one directory. Its methods may be called concurrently, also by several
// processes on one directory.
type Tree struct {
	root string

	mu    sync.Mutex
	known map[string]struct{} // directories whose entries are on disk all the way from root; guarded by mu

	buffers sync.Pool // of *[copyBuffer]byte
}

// New returns the Tree below root, which must exist and be durable itself.
func New(root string) *Tree {
	return &Tree{root: root, known: map[string]struct{}{}}
}

// Root is the directory that New was given.
func (t *Tree) Root() string { return t.root }

// Path is where the file of a slash-separated name lies.
func (t *Tree) Path(name string) string { return filepath.Join(t.root, filepath.FromSlash(name)) }

// Create begins a file in the directory of that slash-separated name, which is made when it is not there. The file
// has a name that IsTemp knows until Commit names it.
func (t *Tree) Create(dir string) (*File, error) {
	var f *os.File
	err := t.inDir(dir, func(path string) (err error) {
		f, err = os.CreateTemp(path, tempPrefix+"*")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &File{File: f, tree: t, path: f.Name()}, nil
}

// Rename moves src, an open regular file that lies at path, to that slash-separated name, as Commit does. Nothing is
// copied and nothing read, but the time of modification becomes now: what the tree holds is as old as its being there.
// Where that cannot be the error is ErrCopy and src is as it was but for its time: on another file system, and when
// somebody could still write to it by another name or because he owns it.
func (t *Tree) Rename(src *os.File, path, name string, exclusive bool) error {
	if err := own(src); err != nil {
		return err
	}
	err := t.commit(src, path, name, exclusive)
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("%w: %w", ErrCopy, err)
	}
	return err
}

// Adopt is Rename for who can do without durability until SyncAll.
func (t *Tree) Adopt(src *os.File, path, name string) error {
	if err := own(src); err != nil {
		return err
	}
	if err := src.Chmod(Mode); err != nil {
		return err
	}
	err := t.Place(path, name, true)
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("%w: %w", ErrCopy, err)
	}
	return err
}

// Place gives a finished file of ours its slash-separated name, as Commit does, but durable only after SyncAll. What it
// holds has to be durable before, where nobody else could restore it after a crash.
func (t *Tree) Place(path, name string, exclusive bool) error {
	target := t.Path(name)
	if err := makeDir(filepath.Dir(target)); err != nil {
		return err
	}
	return rename(path, target, exclusive)
}

// makeDir is os.MkdirAll for a directory that mostly is new, as that of a key is, or whose parent is: it does not look first.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeDir(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o777)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// SyncAll makes durable whatever was written to the tree's file system.
func (t *Tree) SyncAll() error {
	d, err := os.Open(t.root)
	if err != nil {
		return err
	}
	err = unix.Syncfs(int(d.Fd()))
	return errors.Join(err, d.Close())
}

// own makes the file ours alone, and young.
func own(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if st.Nlink != 1 {
		return fmt.Errorf("%w: %s has %d names", ErrCopy, f.Name(), st.Nlink)
	}
	if int(st.Uid) != os.Geteuid() {
		if err := f.Chown(os.Geteuid(), os.Getegid()); err != nil {
			return fmt.Errorf("%w: %w", ErrCopy, err)
		}
	}
	return Touch(f)
}

// Touch says that a file, which is ours, was modified now. fs.ErrPermission where it is another user's.
func Touch(f *os.File) error {
	now := unix.NsecToTimeval(time.Now().UnixNano())
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{now, now}); err != nil {
		return &fs.PathError{Op: "touch", Path: f.Name(), Err: err}
	}
	return nil
}

// Settle makes durable a file that another writer has just named, with all directories that lead to it.
func (t *Tree) Settle(name string) error {
	dir, _ := splitName(name)
	return t.inDir(dir, SyncDir)
}

// Remove removes the file of that slash-separated name, durably. A name that is not there is no error.
func (t *Tree) Remove(name string) error {
	path := t.Path(name)
	if err := os.Remove(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	} else if err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// commit makes src, which lies at path, durable under name.
func (t *Tree) commit(src *os.File, path, name string, exclusive bool) error {
	if err := src.Chmod(Mode); err != nil {
		return err
	}
	if err := src.Sync(); err != nil {
		return err
	}
	dir, base := splitName(name)
	return t.inDir(dir, func(parent string) error {
		if err := rename(path, filepath.Join(parent, base), exclusive); err != nil {
			return err
		}
		return SyncDir(parent)
	})
}

// inDir makes the directory durably and calls fn with its path, once more when somebody removed it meanwhile.
func (t *Tree) inDir(dir string, fn func(path string) error) error {
	for attempt := 0; ; attempt++ {
		path, err := t.mkdirAll(dir)
		if err == nil {
			err = fn(path)
		}
		if attempt > 0 || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		t.forget()
	}
}

// mkdirAll makes the directory and its parents and syncs all that name them. A directory that exists is synced too
// when this Tree sees it for the first time: whoever made it may not have come that far.
func (t *Tree) mkdirAll(dir string) (string, error) {
	path := t.root
	if dir == "" {
		return path, nil
	}
	for name := range strings.SplitSeq(dir, "/") {
		parent := path
		path = filepath.Join(parent, name)
		if t.isKnown(path) {
			continue
		}
		if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if err := SyncDir(parent); err != nil {
			return "", err
		}
		t.remember(path)
	}
	return path, nil
}

func (t *Tree) isKnown(path string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.known[path]
	return ok
}

func (t *Tree) remember(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= maxKnown {
		clear(t.known)
	}
	t.known[path] = struct{}{}
}

func (t *Tree) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// rename is rename(2); an exclusive one fails with fs.ErrExist where the target exists. A file system without
// RENAME_NOREPLACE is asked first, which excludes nobody: then the last of two equal writers wins.
func rename(from, to string, exclusive bool) error {
	if !exclusive {
		return os.Rename(from, to)
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("rename %s %s: %w", from, to, fs.ErrExist)
		}
		return os.Rename(from, to)
	default:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
}

func splitName(name string) (dir, base string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}
