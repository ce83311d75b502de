// Package repo owns what a repository is on disk: a directory with an annexfs.toml, which names a database, an object
// store and a file store. It makes one, finds the one that is meant, and opens all of its parts.
//
//	annexfs.toml    the configuration
//	annexfs.db      the metadata database, unless it is PostgreSQL
//	objects/        the object store, unless it is a bucket
//	files/          the file store
//	staging/        what was copied into the mount's staging and is not published yet, and copies that are not finished
//	run/            one description and one log of each mount
//	mnt/            where it is mounted when nobody says otherwise
package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

// Repo is an open repository. Its parts may be used concurrently.
type Repo struct {
	Dir      string // absolute
	Config   Config
	DB       *metadb.DB
	Objects  *objects.Store
	Registry *registry.Registry
	Data     *datastore.Store
	Files    *filestore.Store
}

// Options of Open; the zero value works.
type Options struct {
	Logger *slog.Logger // nil is silence
}

// promiseWait bounds how long Open waits for what a mount has acknowledged: a hundredth of it is enough for most.
const promiseWait = time.Second

// Open opens the repository at dir, which Find has found. What mounts have acknowledged by then is there. The caller closes it. It changes nothing: a database that
// has to be migrated is metadb.ErrSchemaOlder.
func Open(ctx context.Context, dir string, o Options) (*Repo, error) {
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{Dir: dir, Config: c}
	if err := r.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("repository %s: %w", dir, err), r.Close())
	}
	return r, nil
}

func (r *Repo) open(ctx context.Context, o Options) error {
	database, err := r.Config.DatabaseURL(r.Dir)
	if err != nil {
		return err
	}
	store, err := r.Config.ObjectsURL(r.Dir)
	if err != nil {
		return err
	}
	if r.DB, err = metadb.Open(ctx, database, metadb.Options{Logger: o.Logger}); err != nil {
		return err
	}
	if err = r.DB.Await(ctx, promiseWait); err != nil {
		return err
	}
	if r.Objects, err = objects.Open(ctx, store); err != nil {
		return err
	}
	r.Files, err = filestore.Open(r.Config.FilesDir(r.Dir), filestore.Options{MaxExtension: r.Config.MaxExtensionLength})
	if err != nil {
		return err
	}
	r.Registry = registry.New(r.DB, r.Objects)
	r.Data = datastore.New(r.DB, r.Objects, datastore.Options{
		CacheBytes: int64(r.Config.Cache.Footers),
		Node:       node(),
		Logger:     o.Logger,
	})
	return nil
}

// Close closes what Open has opened.
func (r *Repo) Close() error {
	var errs []error
	if r.Objects != nil {
		errs = append(errs, r.Objects.Close())
	}
	if r.DB != nil {
		errs = append(errs, r.DB.Close())
	}
	return errors.Join(errs...)
}

// MountPoint is where to mount when nobody says.
func (r *Repo) MountPoint() string { return r.Config.MountPoint(r.Dir) }

// StagingDir is where unfinished copies lie.
func (r *Repo) StagingDir() string { return filepath.Join(r.Dir, stagingDir) }

// RunDir is where mounts leave their descriptions and logs.
func (r *Repo) RunDir() string { return RunDir(r.Dir) }

// RunDir is where the mounts of the repository at dir leave their descriptions and logs.
func RunDir(dir string) string { return filepath.Join(dir, runDir) }

// Migrate brings the database of the repository at dir to this program's schema, and says from which version to which.
func Migrate(ctx context.Context, dir string) (from, to int64, err error) {
	c, err := readConfig(dir)
	if err != nil {
		return 0, 0, err
	}
	url, err := c.DatabaseURL(dir)
	if err != nil {
		return 0, 0, err
	}
	if path, ok := sqlitePath(url); ok {
		// A database that is gone is not to be replaced by an empty one.
		if _, err := os.Stat(path); err != nil {
			return 0, 0, fmt.Errorf("repository %s: %w", dir, err)
		}
	}
	return metadb.Migrate(ctx, url)
}

// node names this machine in the table of jobs.
func node() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// exists reports whether something has that name; what cannot be looked at has.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// kindError is an error of a kind, told to a person in other words than the kind's own.
type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string { return e.text }
func (e *kindError) Unwrap() error { return e.kind }

func fail(kind error, format string, args ...any) error {
	return &kindError{kind: kind, text: fmt.Sprintf(format, args...)}
}
