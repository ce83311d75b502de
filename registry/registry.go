// Package registry owns manifests, the datasets' links to them, and the version tags of datasets.
//
// A manifest is an opaque canonical JSON document, stored in the object store under its SHA-256 and listed in the
// metadata database; nothing here looks inside it. A link says that a manifest belongs to a dataset. A tag is a name for a
// linked manifest: a semantic version, which people set, or one of two that only follow. `latest` denotes what the
// highest semantic version denotes, and `dev` the manifest that was linked last; both are made right in the same
// transaction as whatever moves them, so no other transaction ever sees them wrong.
//
// Errors are of the kinds fs.ErrNotExist, fs.ErrInvalid, fault.ErrConflict and fault.ErrCorrupt, or come from the
// database or the object store.
package registry

import (
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
)

// The two tags that nobody sets.
const (
	latestTag = "latest"
	devTag    = "dev"
)

// Registry is the registry in one metadata database and one object store. It holds no state of its own, so any number
// of goroutines and processes may use the same ones at once.
//
// LOCK ORDERING, of rows: datasets, then manifests, then what metadb locks to record changes. Everything that writes
// links or tags of a dataset holds its row in datasets from its first statement on.
type Registry struct {
	db    *metadb.DB
	store *objects.Store
}

// New returns the registry in db, with manifests in store. Both stay the caller's to close.
func New(db *metadb.DB, store *objects.Store) *Registry {
	return &Registry{db: db, store: store}
}

// objectKey is where a manifest lies in the object store: outside every namespace, whose names begin with no dot.
func objectKey(h dataset.Hash) string {
	return ".annexfs/manifests/" + h.String() + ".json"
}
