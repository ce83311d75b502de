// Package datastore owns the tables of the datasets: their revisions and which of them is active, the files that each
// revision holds with their footers and statistics, and the jobs that lock a revision while they write to it.
//
// It knows nothing of manifests beyond their hash, and nothing of version tags. Objects are written by others before
// they are registered here; the one object that it writes itself records which revision of a table is active.
package datastore

import (
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
)

const (
	// DefaultCacheBytes is the budget of the metadata cache where Options names none.
	DefaultCacheBytes = 256 << 20
	// DefaultDeadAfter is how long a job may be silent before its locks can be taken from it.
	DefaultDeadAfter = 60 * time.Second
)

// Options of a Store. The zero value works.
type Options struct {
	CacheBytes int64         // budget of parsed parquet metadata in memory; 0 means DefaultCacheBytes, negative keeps none
	Node       string        // who we are in the table of jobs
	DeadAfter  time.Duration // 0 means DefaultDeadAfter; must be the same in all programs of one database
	Logger     *slog.Logger  // nil discards
}

// Store is the data store of one repository. All methods may be called concurrently, also by several processes.
type Store struct {
	db        *metadb.DB
	objects   *objects.Store
	node      string
	deadAfter time.Duration
	log       *slog.Logger
	metadata  *metadataCache
	loads     singleflight.Group
	known     knownChildren
}

// New returns a store over an open database and object store, which stay the caller's to close.
func New(db *metadb.DB, objs *objects.Store, o Options) *Store {
	if o.CacheBytes == 0 {
		o.CacheBytes = DefaultCacheBytes
	}
	if o.DeadAfter == 0 {
		o.DeadAfter = DefaultDeadAfter
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Store{
		db: db, objects: objs, node: o.Node, deadAfter: o.DeadAfter, log: o.Logger,
		metadata: newMetadataCache(o.CacheBytes),
	}
}

// Embedded tells that the database is a file here, so that no statement waits for a server.
func (s *Store) Embedded() bool { return s.db.Dialect() == metadb.SQLite }

// Table names a table of one manifest of one dataset. The same table under another manifest is another one, with
// revisions of its own.
type Table struct {
	Dataset  dataset.ID
	Manifest dataset.Hash
	Name     dataset.TableName
}

// String is "namespace/name@hash/table".
func (t Table) String() string {
	return t.Dataset.String() + "@" + t.Manifest.String() + "/" + string(t.Name)
}
