package datastore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/metadb"
)

// recordTimeout bounds the writing of the record of what is active.
const recordTimeout = 30 * time.Second

const ofActivation = `a.dataset_namespace = $1 and a.dataset_name = $2 and a.manifest_hash = $3 and a.table_name = $4`

// Activate makes a retained revision of t the active one. A revision that is not one of t is fs.ErrNotExist, one that
// a living job still writes is fault.ErrConflict; then the former stays active. Doing it twice is success.
func (s *Store) Activate(ctx context.Context, t Table, id uuid.UUID, actor string) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		if err := lockTable(ctx, tx, t); err != nil {
			return err
		}
		rev, err := revisionWhere(ctx, tx, ofTable+` and p.revision = $5`+tx.ForUpdate(), t.args(id.String())...)
		if err != nil || rev.Active {
			return err
		}
		if err := s.release(ctx, tx, &rev, nil); err != nil {
			return err
		}
		return activate(ctx, tx, t, rev.ID, actor)
	})
	if err != nil {
		return fmt.Errorf("activate revision %s of %s: %w", id, t, err)
	}
	s.recordActive(ctx, t)
	return nil
}

// Deactivate leaves t without an active revision: still listed, and empty. Doing it twice is success.
func (s *Store) Deactivate(ctx context.Context, t Table, actor string) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		if err := lockTable(ctx, tx, t); err != nil {
			return err
		}
		_, err := revisionWhere(ctx, tx, ofTable+` and p.active`, t.args()...)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return activate(ctx, tx, t, 0, actor)
	})
	if err != nil {
		return fmt.Errorf("deactivate %s: %w", t, err)
	}
	s.recordActive(ctx, t)
	return nil
}

// activate makes a revision, or with 0 none, the active one of a locked table, and writes the history.
func activate(ctx context.Context, tx *metadb.Tx, t Table, location int64, actor string) error {
	var n, last int64
	if err := tx.QueryRow(ctx, `select coalesce(max(a.n), 0), coalesce(max(a.activated_at), 0) from activations a
		where `+ofActivation, t.args()...).Scan(&n, &last); err != nil {
		return err
	}
	now := max(metadb.Micros(time.Now()), last) // the history goes forward, whatever the clocks do
	if _, err := tx.Exec(ctx, `update physical_tables set active = false, updated_at = `+laterThan("$5")+`
		where dataset_namespace = $1 and dataset_name = $2 and manifest_hash = $3 and table_name = $4 and active`,
		t.args(now)...); err != nil {
		return err
	}
	var id any
	if location != 0 {
		id = location
		if _, err := tx.Exec(ctx, `update physical_tables set active = true, updated_at = `+laterThan("$1")+`
			where id = $2`, now, location); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `insert into activations
		(dataset_namespace, dataset_name, manifest_hash, table_name, n, location_id, activated_at, actor)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`, t.args(n+1, id, now, actor)...); err != nil {
		return err
	}
	c := t.change(metadb.ChangeActivate)
	c.LocationID = location
	tx.Record(c)
	return nil
}

// change is one of t, to be completed.
func (t Table) change(kind metadb.ChangeKind) metadb.Change {
	return metadb.Change{
		Kind: kind, Namespace: string(t.Dataset.Namespace), Name: string(t.Dataset.Name),
		Hash: t.Manifest.String(), Table: string(t.Name),
	}
}

// ActiveAt is the revision of t that was active at that time, by the history of activations; its Active field tells
// of now. A time to come, one before the first activation, and one at which nothing was active are fs.ErrNotExist.
func (s *Store) ActiveAt(ctx context.Context, t Table, at time.Time) (Revision, error) {
	if at.After(time.Now()) {
		return Revision{}, fmt.Errorf("revision of %s at %s, which is to come: %w", t, at.Format(time.RFC3339), fs.ErrNotExist)
	}
	rev, err := revisionWhere(ctx, s.db, `p.id = (select a.location_id from activations a
		where `+ofActivation+` and a.activated_at <= $5 order by a.n desc limit 1)`, t.args(metadb.Micros(at))...)
	if err != nil {
		return Revision{}, fmt.Errorf("revision of %s at %s: %w", t, at.Format(time.RFC3339), err)
	}
	return rev, nil
}

// activeRecord is what the object store holds of a table: enough to bring back which revision was active when the
// database is lost.
type activeRecord struct {
	Manifest    string    `json:"manifest"`
	Revision    *string   `json:"revision"` // null: none
	N           int64     `json:"n"`        // number of the activation
	ActivatedAt time.Time `json:"activated_at"`
	Actor       string    `json:"actor"`
}

// recordKey is the object that says which revision of t is active. Revisions are called by their UUID, so none is
// called like it.
func (t Table) recordKey() string {
	return t.prefix() + t.Manifest.String() + recordSuffix
}

// recordActive writes the record after a transaction that changed it. The change is committed and stays, so that a
// failure goes to the log; the next activation writes the record again.
func (s *Store) recordActive(ctx context.Context, t Table) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := s.writeRecord(ctx, t); err != nil {
		s.log.ErrorContext(ctx, "the object store does not know the active revision", "table", t.String(), "err", err)
	}
}

// writeRecord writes until what it wrote is what the database says: of two that write at once, the one that writes
// last sees the later activation.
func (s *Store) writeRecord(ctx context.Context, t Table) error {
	written := int64(0)
	for {
		r := activeRecord{Manifest: t.Manifest.String()}
		var at int64
		if err := s.db.QueryRow(ctx, `select a.n, a.activated_at, a.actor, p.revision from activations a
			left join physical_tables p on p.id = a.location_id where `+ofActivation+` order by a.n desc limit 1`,
			t.args()...).Scan(&r.N, &at, &r.Actor, &r.Revision); err != nil {
			return err
		}
		if r.N == written {
			return nil
		}
		r.ActivatedAt = metadb.Time(at)
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := s.objects.Put(ctx, t.recordKey(), data); err != nil {
			return err
		}
		written = r.N
	}
}
