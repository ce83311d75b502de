package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
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
	UpdatedAt time.Time // when files were last added or removed, or it was last activated or deactivated; it grows with each
}

const (
	revisionColumns = `p.id, p.revision, p.path, p.dataset_namespace, p.dataset_name, p.manifest_hash, p.table_name,
		p.active, coalesce(p.writer, 0), p.created_at, p.updated_at`
	ofTable = `p.dataset_namespace = $1 and p.dataset_name = $2 and p.manifest_hash = $3 and p.table_name = $4`
)

// args are the parameters of ofTable.
func (t Table) args(more ...any) []any {
	args := append(make([]any, 0, 4+len(more)), string(t.Dataset.Namespace), string(t.Dataset.Name), t.Manifest.String(), string(t.Name))
	return append(args, more...)
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
	if id, err = uuid.NewV7(); err != nil {
		return uuid.UUID{}, "", fmt.Errorf("choose a revision: %w", err)
	}
	return id, t.prefix() + id.String() + "/", nil
}

// prefix is where the objects of a table lie, under whichever manifest.
func (t Table) prefix() string {
	return t.Dataset.String() + "/" + string(t.Name) + "/"
}

// Create makes an empty revision of t. Unless it is told otherwise it becomes the active one in the same transaction,
// and the former is retained. A manifest that is not registered is fs.ErrNotExist, a UUID that was used before
// fs.ErrExist, a job that has ended or was taken over fault.ErrConflict.
func (s *Store) Create(ctx context.Context, t Table, o CreateOptions) (Revision, error) {
	var rev Revision
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		err := lockTable(ctx, tx, t)
		if err != nil {
			return err
		}
		rev, err = create(ctx, tx, t, o)
		return err
	})
	if err != nil {
		return Revision{}, fmt.Errorf("create a revision of %s: %w", t, err)
	}
	if rev.Active {
		s.recordActive(ctx, t)
	}
	return rev, nil
}

// lockTable lets one transaction at a time change which revision of a table is active. It locks the manifest's row,
// which comes before those of revisions; those come before those of jobs.
func lockTable(ctx context.Context, tx *metadb.Tx, t Table) error {
	var id int64
	err := tx.QueryRow(ctx, `select id from manifests where hash = $1`+tx.ForUpdate(), t.Manifest.String()).Scan(&id)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("manifest %s is not registered: %w", t.Manifest, err)
	}
	return err
}

func create(ctx context.Context, tx *metadb.Tx, t Table, o CreateOptions) (Revision, error) {
	id, path, err := NewRevision(t)
	if err != nil {
		return Revision{}, err
	}
	if o.UUID != (uuid.UUID{}) {
		id, path = o.UUID, t.prefix()+o.UUID.String()+"/"
	}
	if id.Version() != 7 {
		return Revision{}, fmt.Errorf("revision %s is no UUID of version 7: %w", id, fs.ErrInvalid)
	}
	var writer any
	if o.Job != nil {
		if err := o.Job.check(ctx, tx); err != nil {
			return Revision{}, err
		}
		writer = o.Job.ID
	}
	now := metadb.Micros(time.Now())
	var location int64
	if err = tx.QueryRow(ctx, `insert into physical_tables
		(dataset_namespace, dataset_name, manifest_hash, table_name, revision, path, writer, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning id`,
		t.args(id.String(), path, writer, now, now)...).Scan(&location); err != nil {
		return Revision{}, err
	}
	if !o.Inactive {
		if err := activate(ctx, tx, t, location, o.Actor); err != nil {
			return Revision{}, err
		}
	}
	return revisionWhere(ctx, tx, `p.id = $1`, location)
}

// Active is the active revision of t, or fs.ErrNotExist.
func (s *Store) Active(ctx context.Context, t Table) (Revision, error) {
	rev, err := revisionWhere(ctx, s.db, ofTable+` and p.active`, t.args()...)
	if err != nil {
		return Revision{}, fmt.Errorf("active revision of %s: %w", t, err)
	}
	return rev, nil
}

// Revision is the revision of t with that UUID, active or retained, or fs.ErrNotExist.
func (s *Store) Revision(ctx context.Context, t Table, id uuid.UUID) (Revision, error) {
	rev, err := revisionWhere(ctx, s.db, ofTable+` and p.revision = $5`, t.args(id.String())...)
	if err != nil {
		return Revision{}, fmt.Errorf("revision %s of %s: %w", id, t, err)
	}
	return rev, nil
}

// Revisions are all revisions of t, the newest first.
func (s *Store) Revisions(ctx context.Context, t Table) ([]Revision, error) {
	var revs []Revision
	for rev, err := range stream(ctx, s.db, scanRevision, `select `+revisionColumns+`
		from physical_tables p where `+ofTable+` order by p.id desc`, t.args()...) {
		if err != nil {
			return nil, fmt.Errorf("revisions of %s: %w", t, err)
		}
		revs = append(revs, rev)
	}
	return revs, nil
}

// ActiveTables are the active revisions of all tables of one manifest of a dataset, in one query.
func (s *Store) ActiveTables(ctx context.Context, id dataset.ID, h dataset.Hash) (map[dataset.TableName]Revision, error) {
	tables := make(map[dataset.TableName]Revision)
	for rev, err := range stream(ctx, s.db, scanRevision, `select `+revisionColumns+` from physical_tables p
		where p.dataset_namespace = $1 and p.dataset_name = $2 and p.manifest_hash = $3 and p.active`,
		string(id.Namespace), string(id.Name), h.String()) {
		if err != nil {
			return nil, fmt.Errorf("active revisions of %s@%s: %w", id, h, err)
		}
		tables[rev.Table.Name] = rev
	}
	return tables, nil
}

// revisionWhere is the one revision for which the condition holds.
func revisionWhere(ctx context.Context, q metadb.Queryer, condition string, args ...any) (Revision, error) {
	return scanRevision(q.QueryRow(ctx, `select `+revisionColumns+` from physical_tables p where `+condition, args...))
}

func scanRevision(row scanner) (Revision, error) {
	var rev Revision
	var id, hash string
	var created, updated int64
	err := row.Scan(&rev.ID, &id, &rev.Path, &rev.Table.Dataset.Namespace, &rev.Table.Dataset.Name, &hash,
		&rev.Table.Name, &rev.Active, &rev.Writer, &created, &updated)
	if err != nil {
		return Revision{}, err
	}
	if rev.UUID, err = uuid.Parse(id); err != nil {
		return Revision{}, fmt.Errorf("revision %d: %w", rev.ID, err)
	}
	if rev.Table.Manifest, err = dataset.ParseHash(hash); err != nil {
		return Revision{}, fmt.Errorf("revision %d: %w", rev.ID, err)
	}
	rev.CreatedAt, rev.UpdatedAt = metadb.Time(created), metadb.Time(updated)
	return rev, nil
}
