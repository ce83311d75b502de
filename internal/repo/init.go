package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
)

const (
	stagingDir = "staging"
	runDir     = "run"
)

// InitOptions choose where a new repository keeps its parts; empty is the embedded default.
type InitOptions struct {
	Database string // sqlite:PATH, relative to the repository, or postgres://…; may name ${VAR}
	Objects  string // file:PATH, relative to the repository, or the URL of a bucket; may name ${VAR}
}

// Init makes dir a repository, and the directory if it is not there. It reports whether it did: run on a repository it
// changes nothing, but migrates its database if that is older than this program.
//
// A directory that is another kind of repository, or holds what is in the way, is fs.ErrExist; a repository that was
// made with other options is fault.ErrConflict. After a failure nothing is left behind, after a crash nothing that
// stops another Init. Several may run at once.
func Init(ctx context.Context, dir string, o InitOptions) (c Config, created bool, err error) {
	m := &maker{dir: dir}
	if err = m.mkdir(dir); err == nil {
		c, created, err = m.locked(ctx, o)
	}
	if err != nil {
		return Config{}, false, fmt.Errorf("init %s: %w", dir, err)
	}
	return c, created, nil
}

// maker makes a repository, and remembers what to remove if that fails.
type maker struct {
	dir  string
	made []string
}

// locked does it while no other Init can.
func (m *maker) locked(ctx context.Context, o InitOptions) (c Config, created bool, err error) {
	unlock, err := lockDir(m.dir)
	if err != nil {
		return Config{}, false, err
	}
	defer unlock()
	defer func() {
		if err != nil {
			m.undo()
		}
	}()
	c, err = readConfig(m.dir)
	switch {
	case err == nil:
		return c, false, m.complete(ctx, c, o)
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, false, err
	}
	if c, err = newConfig(o); err != nil {
		return Config{}, false, err
	}
	if err := m.make(ctx, c); err != nil {
		return Config{}, false, err
	}
	return c, true, register(ctx, m.dir, c)
}

// complete does what is left to do in a repository that is there.
func (m *maker) complete(ctx context.Context, c Config, o InitOptions) error {
	if o.Database != "" && o.Database != c.Database {
		return fail(fault.ErrConflict, "it is a repository with the database %s; to change it edit %s", c.Database, ConfigName)
	}
	if o.Objects != "" && o.Objects != c.Objects {
		return fail(fault.ErrConflict, "it is a repository with the object store %s; to change it edit %s", c.Objects, ConfigName)
	}
	if _, _, err := Migrate(ctx, m.dir); err != nil {
		return err
	}
	return register(ctx, m.dir, c)
}

// make writes the configuration last: what has one is complete.
func (m *maker) make(ctx context.Context, c Config) error {
	database, err := c.DatabaseURL(m.dir)
	if err != nil {
		return err
	}
	store, err := c.ObjectsURL(m.dir)
	if err != nil {
		return err
	}
	if err := m.refuseOthers(); err != nil {
		return err
	}
	dirs := []string{c.FilesDir(m.dir), filepath.Join(m.dir, stagingDir), filepath.Join(m.dir, runDir), c.MountPoint(m.dir)}
	if path, ok := strings.CutPrefix(store, "file://"); ok {
		dirs = append(dirs, path)
	}
	for _, d := range dirs {
		if err := m.mkdir(d); err != nil {
			return err
		}
	}
	if err := checkObjects(ctx, store); err != nil {
		return err
	}
	if path, ok := sqlitePath(database); ok && !exists(path) {
		m.made = append(m.made, path, path+"-wal", path+"-shm")
	}
	if _, _, err := metadb.Migrate(ctx, database); err != nil {
		return err
	}
	return m.writeConfig(c)
}

func checkObjects(ctx context.Context, url string) error {
	store, err := objects.Open(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(store.Check(ctx), store.Close())
}

// refuseOthers keeps us out of directories that another program owns, or whose content we would mix with ours.
func (m *maker) refuseOthers() error {
	for _, name := range []string{".git", ".hg", ".svn", ".dvc", ".dolt", ".datalad", "HEAD"} {
		if exists(filepath.Join(m.dir, name)) {
			return fail(fs.ErrExist, "it is another kind of repository (it has %s); choose another directory", name)
		}
	}
	for _, name := range []string{"objects", "files"} {
		entries, err := os.ReadDir(filepath.Join(m.dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(entries) > 0 {
			return fail(fs.ErrExist, "%s is in the way and not empty; choose another directory", filepath.Join(m.dir, name))
		}
	}
	return nil
}

// mkdir makes a directory and its parents.
func (m *maker) mkdir(dir string) error {
	var missing []string
	for parent := dir; !exists(parent); parent = filepath.Dir(parent) {
		missing = append(missing, parent)
	}
	slices.Reverse(missing)
	m.made = append(m.made, missing...)
	return os.MkdirAll(dir, 0o777)
}

func (m *maker) writeConfig(c Config) error {
	var b bytes.Buffer
	b.WriteString("# This directory is an annexfs repository.\n\n")
	if err := toml.NewEncoder(&b).Encode(c); err != nil {
		return err
	}
	f, err := os.CreateTemp(m.dir, "."+ConfigName+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone once it is renamed
	_, err = f.Write(b.Bytes())
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(m.dir, ConfigName)); err != nil {
		return err
	}
	m.made = nil
	return durable.SyncDir(m.dir)
}

// undo removes what was made, as far as it is empty or ours alone.
func (m *maker) undo() {
	for _, path := range slices.Backward(m.made) {
		_ = os.Remove(path)
	}
}

// lockDir keeps other Inits of the directory out until unlock is called or this process ends.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: dir, Err: err}, d.Close())
	}
	return func() { _ = d.Close() }, nil
}

// sqlitePath is the path in a database URL that is a file.
func sqlitePath(url string) (string, bool) { return strings.CutPrefix(url, "sqlite:") }
