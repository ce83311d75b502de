package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// AppendOptions say how Append adds files.
type AppendOptions struct {
	RegisterOptions
	// First, where there is one, begins the transaction; its error ends it. It may be asked again, and must not use
	// anything but the transaction.
	First func(context.Context, *metadb.Tx) error
}

// Appending is a transaction that files are added to. It is for one goroutine at a time.
type Appending struct {
	tx    *metadb.Tx
	rev   Revision
	tree  bool
	added span
}

// Append has fn add files one by one to a revision, which must be the active one, in one transaction: for who learns of
// them one after another, and wants to know of each at once whether it will be there. Nobody else writes to the table until
// fn returns. fn may be called again, where the database made the transaction lose against another one; then nothing is
// left of what it added before. A revision that is not active, or that another living job has locked, is
// fault.ErrConflict.
//
// What was added may be told of before Append returns: metadb.DB.Await waits for it.
func (s *Store) Append(ctx context.Context, rev Revision, o AppendOptions, fn func(*Appending) error) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		if err := tx.Promise(ctx); err != nil {
			return err
		}
		if o.First != nil {
			if err := o.First(ctx, tx); err != nil {
				return err
			}
		}
		if err := lockTable(ctx, tx, rev.Table); err != nil {
			return err
		}
		now, err := revisionWhere(ctx, tx, `p.id = $1`+tx.ForUpdate(), rev.ID)
		if err != nil {
			return err
		}
		if !now.Active {
			return fmt.Errorf("revision %s is not active any more: %w", rev.UUID, fault.ErrConflict)
		}
		if err := s.release(ctx, tx, &now, o.Job); err != nil {
			return err
		}
		a := &Appending{tx: tx, rev: now, tree: o.Tree}
		if err := fn(a); err != nil {
			return err
		}
		return a.added.announce(ctx, tx, now)
	})
	if err != nil {
		return fmt.Errorf("append to revision %s of %s: %w", rev.UUID, rev.Table, err)
	}
	return nil
}

// Add adds one file as Register does, with its errors. After any but that a file does not fit what is there, Err is not nil.
func (a *Appending) Add(ctx context.Context, f NewFile) (Registered, error) {
	b, err := newBatch([]NewFile{f}, a.tree)
	if err != nil {
		return Registered{}, err
	}
	registered, err := b.add(ctx, a.tx, a.rev)
	if err != nil {
		return Registered{}, err
	}
	if !registered[0].Existing {
		a.added.include(registered[0].ID)
	}
	return registered[0], nil
}

// insertBelow writes a row of a tree, if its directory is there and nothing is at its path: mostly, one statement is enough.
const insertBelow = `insert into file_metadata (location_id, file_name, dir, url, object_size, object_e_tag, object_version,
	sha256, row_count, created_at, footer_offset, metadata)
	select cast($1 as bigint), cast($2 as text), cast($3 as text), cast($4 as text), cast($5 as bigint), cast($6 as text),
		cast($7 as text), cast($8 as text), cast($9 as bigint), cast($10 as bigint), cast($11 as bigint), cast($12 as text)
	where not exists (select 1 from file_directories where location_id = $1 and dir = $3 and name = $13)
		and ($3 = '' or exists (select 1 from file_directories where location_id = $1 and dir = $14 and name = $15))
	on conflict (location_id, file_name) do nothing returning id`

// addOne is add for one file of a tree.
func (b *batch) addOne(ctx context.Context, tx *metadb.Tx, rev Revision) ([]Registered, error) {
	f := &b.files[0]
	registered := []Registered{{Name: f.Name}}
	if len(f.Footer) == 0 {
		dir, base := splitPath(f.Name)
		above, last := splitPath(dir)
		for row := range b.rows(rev.ID, []int{0}, metadb.Micros(time.Now())) {
			err := tx.QueryRow(ctx, insertBelow, append(row, base, above, last)...).Scan(&registered[0].ID)
			if !errors.Is(err, fs.ErrNotExist) {
				return registered, err
			}
		}
	}
	old, _, err := look(ctx, tx, rev.ID, f.Name)
	switch {
	case err != nil:
		return nil, err
	case old.id == 0:
		return registered, b.insert(ctx, tx, rev, []int{0}, registered)
	case old.sum != dataset.Hash(f.SHA256).String():
		return nil, otherContent(old)
	}
	return []Registered{{ID: old.id, Name: f.Name, Existing: true}}, nil
}

// look finds what is at the path of a file in a tree, and whether its directory is there, and so all above it. Where the
// path itself is a directory it is fs.ErrExist.
func look(ctx context.Context, tx *metadb.Tx, location int64, name string) (there row, parent bool, err error) {
	dir, base := splitPath(name)
	above, last := splitPath(dir)
	var itself, parents int
	err = tx.QueryRow(ctx, `select coalesce(max(f.id), 0), coalesce(max(f.sha256), ''),
		(select count(*) from file_directories where location_id = $1 and dir = $2 and name = $3),
		(select count(*) from file_directories where location_id = $1 and dir = $4 and name = $5)
		from file_metadata f where f.location_id = $1 and f.file_name = $6`, location, dir, base, above, last, name).
		Scan(&there.id, &there.sum, &itself, &parents)
	if err == nil && itself > 0 {
		err = isThere(name, "directory")
	}
	there.name = name
	return there, dir == "" || parents > 0, err
}

// Remove takes back a file that was added.
func (a *Appending) Remove(ctx context.Context, id int64) error {
	names, err := remove(ctx, a.tx, a.rev, []int64{id})
	if err != nil {
		return err
	}
	return prune(ctx, a.tx, a.rev.ID, names)
}

// Err is what has made the transaction fail, so that nothing can be added any more.
func (a *Appending) Err() error { return a.tx.Err() }
