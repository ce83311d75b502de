package datastore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

// CollectorKind is the kind of the jobs that claim revisions.
const CollectorKind = "gc"

// Claim is the path of a revision in which nobody can register a file.
type Claim struct {
	ID   int64 // of the revision
	made bool  // for the claim: the database did not know it
}

// Claim locks the revision of a table, under whichever manifest, that has that UUID. One that the database does not know
// is made, inactive and empty, so that nobody else can: Create and Publish are fs.ErrExist meanwhile. What another living
// job has locked, or somebody creates just now, is fault.ErrConflict or fs.ErrExist; a database without a manifest is
// fs.ErrNotExist. The caller calls Unclaim soon: writers wait.
func (s *Store) Claim(ctx context.Context, t Table, id uuid.UUID, j *Job) (Claim, error) {
	var c Claim
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		rev, err := revisionWhere(ctx, tx, `p.path = $1`+tx.ForUpdate(), t.prefix()+id.String()+"/")
		if errors.Is(err, fs.ErrNotExist) {
			c, err = claimUnknown(ctx, tx, t, id, j)
			return err
		}
		if err != nil {
			return err
		}
		if err := s.release(ctx, tx, &rev, j); err != nil {
			return err
		}
		c = Claim{ID: rev.ID}
		_, err = tx.Exec(ctx, `update physical_tables set writer = $1 where id = $2`, j.ID, rev.ID)
		return err
	})
	if err != nil {
		return Claim{}, fmt.Errorf("claim revision %s of %s/%s: %w", id, t.Dataset, t.Name, err)
	}
	return c, nil
}

// claimUnknown makes the revision under some manifest. Nobody lists it for long.
func claimUnknown(ctx context.Context, tx *metadb.Tx, t Table, id uuid.UUID, j *Job) (Claim, error) {
	var hash string
	if err := tx.QueryRow(ctx, `select hash from manifests order by id limit 1`).Scan(&hash); err != nil {
		return Claim{}, err
	}
	var err error
	if t.Manifest, err = dataset.ParseHash(hash); err != nil {
		return Claim{}, err
	}
	rev, err := create(ctx, tx, t, CreateOptions{UUID: id, Job: j, Inactive: true})
	return Claim{ID: rev.ID, made: true}, err
}

// unused are revisions that were only made for a claim.
const unused = `not active and not exists (select 1 from file_metadata f where f.location_id = physical_tables.id)
	and not exists (select 1 from activations a where a.location_id = physical_tables.id)`

// Unclaim ends a claim, also where ctx is cancelled. A revision that was made for it is gone.
func (s *Store) Unclaim(ctx context.Context, c Claim, j *Job) error {
	if !c.made {
		return s.Unlock(context.WithoutCancel(ctx), c.ID, j)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		_, err := tx.Exec(ctx, `delete from physical_tables where id = $1 and writer = $2 and `+unused, c.ID, j.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("end the claim of revision %d: %w", c.ID, err)
	}
	return nil
}

// DropClaims removes what claims of dead jobs have made.
func (s *Store) DropClaims(ctx context.Context) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		_, err := tx.Exec(ctx, `delete from physical_tables where writer in (select j.id from jobs j where j.kind = $1
			and (j.status <> 'running' or j.heartbeat_at < $2)) and `+unused,
			CollectorKind, metadb.Micros(time.Now().Add(-s.deadAfter)))
		return err
	})
	if err != nil {
		return fmt.Errorf("drop claims: %w", err)
	}
	return nil
}

// recordSuffix ends the name of the object that says which revision is active, after the manifest's hash.
const recordSuffix = ".active.json"

// IsRecord tells whether an object of that name, beside a table's revisions, says which of them is active.
func IsRecord(name string) bool {
	hash, ok := strings.CutSuffix(name, recordSuffix)
	h, err := dataset.ParseHash(hash)
	return ok && err == nil && h.String() == hash
}

// KnowsRecord tells whether the database knows the revision that a record of a table names: one that is lost, or that
// another object store belongs to, does not. A record that is gone names none.
func (s *Store) KnowsRecord(ctx context.Context, t Table, name string) (bool, error) {
	var r activeRecord
	data, err := s.objects.ReadAll(ctx, t.prefix()+name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	switch {
	case json.Unmarshal(data, &r) != nil:
		return false, nil //nolint:nilerr // a record that cannot be read names nothing that the database could know
	case r.Revision == nil:
		return true, nil
	}
	return s.some(ctx, name, `select 1 from physical_tables p where p.revision = $1`, *r.Revision)
}
