package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
	tx       *metadb.Tx
	rev      Revision
	tree     bool
	added    span
	children *children // of directories that are known

	waiting  []waiting // judged, and not written yet
	reserved []int64   // ids for more
}

// waiting is a file whose row is still to be written.
type waiting struct {
	Registered
	row []any
}

// reserveIDs is for how many rows ids are asked for at once.
const reserveIDs = 32

// Append has fn add files one by one to a revision, which must be the active one, in one transaction: for who learns of
// them one after another, and wants to know of each at once whether it will be there. Nobody else writes to the table until
// fn returns. fn may be called again, where the database made the transaction lose against another one; then nothing is
// left of what it added before. A revision that is not active, or that another living job has locked, is
// fault.ErrConflict.
//
// What was added may be told of before Append returns: metadb.DB.Await waits for it.
func (s *Store) Append(ctx context.Context, rev Revision, o AppendOptions, fn func(*Appending) error) error {
	var known *children
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
		a := &Appending{tx: tx, rev: now, tree: o.Tree, children: s.known.take(now)}
		if err := fn(a); err != nil {
			return err
		}
		if err := a.Write(ctx); err != nil {
			return err
		}
		known = a.children
		known.at, err = a.added.announce(ctx, tx, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("append to revision %s of %s: %w", rev.UUID, rev.Table, err)
	}
	s.known.put(rev.ID, known)
	return nil
}

// Add adds one file as Register does, with its errors. After any but that a file does not fit what is there, Err is not nil.
func (a *Appending) Add(ctx context.Context, f NewFile) (Registered, error) {
	b, err := newBatch([]NewFile{f}, a.tree)
	if err != nil {
		return Registered{}, err
	}
	holds, err := a.holds(ctx, f)
	if err != nil {
		return Registered{}, err
	}
	var r Registered
	if holds == nil {
		r, err = a.addNow(ctx, b)
	} else {
		r, err = a.addLater(ctx, b, holds)
	}
	if err == nil && !r.Existing {
		a.added.include(r.ID)
	}
	return r, err
}

// holds is all that the directory of a file holds; nil where it is to be asked for the one file. To list a directory pays
// from the second file on.
func (a *Appending) holds(ctx context.Context, f NewFile) (map[string]child, error) {
	if !a.tree || len(f.Footer) > 0 {
		return nil, nil
	}
	dir, _ := splitPath(f.Name)
	if _, ok := a.children.dirs[dir]; !ok && a.children.last != nil && *a.children.last == dir {
		if err := a.Write(ctx); err != nil {
			return nil, err
		}
		if err := a.children.list(ctx, a.tx, a.rev.ID, dir); err != nil {
			return nil, err
		}
	}
	return a.children.dirs[dir], nil
}

// addNow adds a file by statements of its own.
func (a *Appending) addNow(ctx context.Context, b *batch) (Registered, error) {
	if err := a.Write(ctx); err != nil {
		return Registered{}, err
	}
	a.reserved = nil // SQLite gives one of them to this file
	if !a.tree {
		registered, err := b.add(ctx, a.tx, a.rev)
		if err != nil {
			return Registered{}, err
		}
		return registered[0], nil
	}
	r, made, err := b.addOne(ctx, a.tx, a.rev)
	if err == nil {
		a.children.added(r.Name, child{r.ID, dataset.Hash(b.files[0].SHA256).String()}, made)
	}
	return r, err
}

// addLater judges a file by what its directory holds, and leaves it to Write.
func (a *Appending) addLater(ctx context.Context, b *batch, holds map[string]child) (Registered, error) {
	f := &b.files[0]
	dir, base := splitPath(f.Name)
	sum := dataset.Hash(f.SHA256).String()
	there, ok := holds[base]
	switch {
	case ok && there.id == 0:
		return Registered{}, isThere(f.Name, "directory")
	case ok && there.sum != sum:
		return Registered{}, otherContent(row{name: f.Name, sum: there.sum})
	case ok:
		return Registered{ID: there.id, Name: f.Name, Existing: true}, nil
	}
	if len(a.reserved) == 0 {
		err := a.Write(ctx)
		if err == nil {
			a.reserved, err = a.tx.Reserve(ctx, "file_metadata", reserveIDs)
		}
		if err != nil {
			return Registered{}, err
		}
	}
	r := Registered{ID: a.reserved[0], Name: f.Name}
	a.reserved = a.reserved[1:]
	for row := range b.rows(a.rev.ID, []int{0}, metadb.Micros(time.Now())) {
		a.waiting = append(a.waiting, waiting{r, append(row, r.ID)})
	}
	a.children.put(dir, base, child{r.ID, sum})
	return r, nil
}

// Waiting is how many of the files that were added Write would write.
func (a *Appending) Waiting() int { return len(a.waiting) }

// Write writes what was added. Append does it at the end, if nobody has.
func (a *Appending) Write(ctx context.Context) error {
	if len(a.waiting) == 0 {
		return nil
	}
	_, err := a.tx.Insert(ctx, "file_metadata", append(fileColumns(), "id"), func(yield func([]any) bool) {
		for _, w := range a.waiting {
			if !yield(w.row) {
				return
			}
		}
	})
	a.waiting = a.waiting[:0]
	return err
}

// insertBelow writes a row of a tree, if its directory is there and nothing is at its path: mostly, one statement is enough.
const insertBelow = `insert into file_metadata (location_id, file_name, dir, url, object_size, object_e_tag, object_version,
	sha256, row_count, created_at, footer_offset, metadata)
	select cast($1 as bigint), cast($2 as text), cast($3 as text), cast($4 as text), cast($5 as bigint), cast($6 as text),
		cast($7 as text), cast($8 as text), cast($9 as bigint), cast($10 as bigint), cast($11 as bigint), cast($12 as text)
	where not exists (select 1 from file_directories where location_id = $1 and dir = $3 and name = $13)
		and ($3 = '' or exists (select 1 from file_directories where location_id = $1 and dir = $14 and name = $15))
	on conflict (location_id, file_name) do nothing returning id`

// addOne is add for one file of a tree. It tells whether the file's directory was made.
func (b *batch) addOne(ctx context.Context, tx *metadb.Tx, rev Revision) (r Registered, made bool, err error) {
	f := &b.files[0]
	r.Name = f.Name
	if len(f.Footer) == 0 {
		dir, base := splitPath(f.Name)
		above, last := splitPath(dir)
		for row := range b.rows(rev.ID, []int{0}, metadb.Micros(time.Now())) {
			err := tx.QueryRow(ctx, insertBelow, append(row, base, above, last)...).Scan(&r.ID)
			if !errors.Is(err, fs.ErrNotExist) {
				return r, false, err
			}
		}
	}
	old, parent, err := look(ctx, tx, rev.ID, f.Name)
	switch {
	case err != nil:
		return r, false, err
	case old.id != 0 && old.sum != dataset.Hash(f.SHA256).String():
		return r, false, otherContent(old)
	case old.id != 0:
		return Registered{ID: old.id, Name: f.Name, Existing: true}, false, nil
	}
	registered := make([]Registered, 1)
	err = b.insert(ctx, tx, rev, []int{0}, registered)
	return registered[0], !parent, err
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
	if n := slices.IndexFunc(a.waiting, func(w waiting) bool { return w.ID == id }); n >= 0 {
		a.children.remove(a.waiting[n].Name)
		a.waiting = slices.Delete(a.waiting, n, n+1)
		return nil
	}
	if err := a.Write(ctx); err != nil {
		return err
	}
	a.children.forget()
	names, err := remove(ctx, a.tx, a.rev, []int64{id})
	if err != nil {
		return err
	}
	return prune(ctx, a.tx, a.rev.ID, names)
}

// Err is what has made the transaction fail, so that nothing can be added any more.
func (a *Appending) Err() error { return a.tx.Err() }
