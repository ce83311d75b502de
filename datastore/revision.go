package datastore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
)

// Revision is one snapshot of a table's files.
type Revision struct {
	ID        int64 // the LocationId, never given to another revision
	UUID      uuid.UUID
	Path      string // where its objects lie in the object store, "namespace/name/table/uuid/"
	Table     Table
	Active    bool
	Writer    int64 // the job that has locked it, or 0
	CreatedAt time.Time
	UpdatedAt time.Time // when files were last added, or it was last activated or deactivated
}

// CreateOptions say how a revision begins.
type CreateOptions struct {
	UUID     uuid.UUID // from NewRevision, where objects are there already; the zero UUID means a new one
	Job      *Job      // locks the revision for this job
	Inactive bool      // leave the active revision as it is
	Actor    string    // who, for the history of activations
}

// NewRevision chooses a UUIDv7 and a path for a revision of t that is created later, so that objects can be written
// before the database knows of it. It asks nobody and writes nothing.
func NewRevision(t Table) (id uuid.UUID, path string, err error) {
	return uuid.UUID{}, "", errAPI
}

// Create makes an empty revision of t. Unless it is told otherwise it becomes the active one in the same transaction,
// and the former is retained. A manifest that is not registered is fs.ErrNotExist.
func (s *Store) Create(ctx context.Context, t Table, o CreateOptions) (Revision, error) {
	return Revision{}, errAPI
}

// Activate makes a retained revision of t the active one. A revision that is not one of t is fs.ErrNotExist, one that
// a living job still writes is fault.ErrConflict; then the former stays active. Doing it twice is success.
func (s *Store) Activate(ctx context.Context, t Table, id uuid.UUID, actor string) error {
	return errAPI
}

// Deactivate leaves t without an active revision: still listed, and empty. Doing it twice is success.
func (s *Store) Deactivate(ctx context.Context, t Table, actor string) error {
	return errAPI
}

// Active is the active revision of t, or fs.ErrNotExist.
func (s *Store) Active(ctx context.Context, t Table) (Revision, error) {
	return Revision{}, errAPI
}

// ActiveTables are the active revisions of all tables of one manifest of a dataset, in one query.
func (s *Store) ActiveTables(ctx context.Context, id dataset.ID, h dataset.Hash) (map[dataset.TableName]Revision, error) {
	return nil, errAPI
}

// Revision is the revision of t with that UUID, active or retained, or fs.ErrNotExist.
func (s *Store) Revision(ctx context.Context, t Table, id uuid.UUID) (Revision, error) {
	return Revision{}, errAPI
}

// Revisions are all revisions of t, the newest first.
func (s *Store) Revisions(ctx context.Context, t Table) ([]Revision, error) {
	return nil, errAPI
}

// ActiveAt is the revision of t that was active at that time, by the history of activations; its Active field tells
// of now. A time to come, one before the first activation, and one at which nothing was active are fs.ErrNotExist.
func (s *Store) ActiveAt(ctx context.Context, t Table, at time.Time) (Revision, error) {
	return Revision{}, errAPI
}

var errAPI = errors.New("datastore: not written yet")
