package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

// Renamed is another name for a file.
type Renamed struct {
	ID   int64  // of the file
	Name string // its new path below the table
}

// Rename gives files of the active revision of a tree other names, in one transaction, and returns their rows in the
// order of moves. A name that has the same content already is success, and leaves that row alone; one with other content,
// or one that would be a file and a directory at once, is fs.ErrExist. A file that is not in the active revision is
// fs.ErrNotExist, a revision that another living job has locked fault.ErrConflict.
func (s *Store) Rename(ctx context.Context, t Table, job *Job, moves []Renamed) ([]Registered, error) {
	var registered []Registered
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		if err := lockTable(ctx, tx, t); err != nil {
			return err
		}
		rev, err := revisionWhere(ctx, tx, ofTable+` and p.active`+tx.ForUpdate(), t.args()...)
		if err != nil {
			return err
		}
		if err := s.release(ctx, tx, &rev, job); err != nil {
			return err
		}
		registered, err = rename(ctx, tx, rev, moves)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rename in %s: %w", t, err)
	}
	return registered, nil
}

func rename(ctx context.Context, tx *metadb.Tx, rev Revision, moves []Renamed) ([]Registered, error) {
	old := make([]row, len(moves))
	files := make([]NewFile, len(moves))
	for i, m := range moves {
		r, err := scanRow(tx.QueryRow(ctx, `select id, file_name, sha256 from file_metadata where id = $1 and location_id = $2`, m.ID, rev.ID))
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", m.ID, err)
		}
		sum, err := dataset.ParseHash(r.sum)
		if err != nil {
			return nil, fmt.Errorf("file %d: %w", m.ID, err)
		}
		old[i], files[i] = r, NewFile{Name: m.Name, SHA256: sum}
	}
	b, err := newBatch(files, true)
	if err != nil {
		return nil, err
	}
	known, err := b.known(ctx, tx, rev.ID)
	if err != nil {
		return nil, err
	}
	registered := make([]Registered, len(moves))
	var fresh []int
	var gone []int64
	for i, f := range b.files {
		there, ok := known.byName[f.Name]
		switch {
		case ok && there.sum != old[i].sum:
			return nil, fmt.Errorf("%s is there with other content: %w", f.Name, fs.ErrExist)
		case ok:
			registered[i] = Registered{ID: there.id, Name: f.Name, Existing: true}
			if there.id != old[i].id {
				gone = append(gone, old[i].id)
			}
		default:
			registered[i] = Registered{ID: old[i].id, Name: f.Name}
			fresh = append(fresh, i)
		}
	}
	if err := b.move(ctx, tx, rev, fresh, old); err != nil {
		return nil, err
	}
	removed, err := remove(ctx, tx, rev, gone)
	if err != nil {
		return nil, err
	}
	if err := prune(ctx, tx, rev.ID, removed); err != nil {
		return registered, err
	}
	_, err = spanOf(registered).announce(ctx, tx, rev)
	return registered, err
}

// move gives rows the names of the fresh files.
func (b *batch) move(ctx context.Context, tx *metadb.Tx, rev Revision, fresh []int, old []row) error {
	if err := b.makeDirectories(ctx, tx, rev.ID, fresh, metadb.Micros(time.Now())); err != nil {
		return err
	}
	var names []string
	for _, i := range fresh {
		dir, _ := splitPath(b.files[i].Name)
		if _, err := tx.Exec(ctx, `update file_metadata set file_name = $1, dir = $2 where id = $3`,
			b.files[i].Name, dir, old[i].id); err != nil {
			return err
		}
		names = append(names, old[i].name)
	}
	return prune(ctx, tx, rev.ID, names)
}

// remove takes files out of a revision whose row is locked, and returns their names. Those that are not in it are passed
// over.
func remove(ctx context.Context, tx *metadb.Tx, rev Revision, ids []int64) ([]string, error) {
	var names []string
	for _, id := range ids {
		var name string
		err := tx.QueryRow(ctx, `delete from file_metadata where id = $1 and location_id = $2 returning file_name`,
			id, rev.ID).Scan(&name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("remove file %d: %w", id, err)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, nil
	}
	c := rev.Table.change(metadb.ChangeFiles)
	c.LocationID = rev.ID
	tx.Record(c)
	_, err := touch(ctx, tx, rev.ID)
	return names, err
}

// prune removes the directories above names that have become empty.
func prune(ctx context.Context, tx *metadb.Tx, location int64, names []string) error {
	for _, name := range names {
		for dir, _ := splitPath(name); dir != ""; {
			parent, base := splitPath(dir)
			n, err := tx.Exec(ctx, `delete from file_directories where location_id = $1 and dir = $2 and name = $3
				and not exists (select 1 from file_metadata f where f.location_id = $1 and f.dir = $4)
				and not exists (select 1 from file_directories d where d.location_id = $1 and d.dir = $4)`,
				location, parent, base, dir)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			dir = parent
		}
	}
	return nil
}

// Content finds the file of a revision that has this content, the one registered first; fs.ErrNotExist where none has.
func (s *Store) Content(ctx context.Context, locationID int64, sum [32]byte) (File, error) {
	f, err := scanFile(s.db.QueryRow(ctx, selectFile+`where f.location_id = $1 and f.sha256 = $2 order by f.id limit 1`,
		locationID, dataset.Hash(sum).String()))
	if err != nil {
		return File{}, fmt.Errorf("content %x in revision %d: %w", sum, locationID, err)
	}
	return f, nil
}
