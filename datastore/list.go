package datastore

import (
	"context"
	"fmt"
	"iter"
	"path"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
)

// Entry is a file or a directory of a revision, as a listing shows it.
type Entry struct {
	ID      int64  // of the row: of file_metadata, or where Dir of file_directories; never given to another
	Name    string // last element of Path
	Path    string // below the table
	Size    int64  // bytes; 0 for a directory
	ModTime time.Time
	Dir     bool
}

// List streams one directory of a revision, "" being its root, ordered by name: one query, whose cost is in proportion
// to the directory's own entries and that loads neither footers nor statistics. A directory that is not there is
// empty. The stream ends after its first error. It holds a connection until it ends: do not query from its loop.
func (s *Store) List(ctx context.Context, locationID int64, dir string) iter.Seq2[Entry, error] {
	prefix := ""
	if dir != "" {
		prefix = dir + "/"
	}
	query := `select id, path, size, created_at, dir from (
			select id, file_name as path, object_size as size, created_at, false as dir
			from file_metadata where location_id = $1 and dir = $2
			union all
			select id, $3 || name, 0, created_at, true
			from file_directories where location_id = $1 and dir = $2) e
		order by path`
	return func(yield func(Entry, error) bool) {
		stream(ctx, s.db, new(entryScanner).scan, query, locationID, dir, prefix)(yield)
	}
}

// Lookup finds a path in the active revision of t or, where that has none, in the newest retained one that has, so
// that a name somebody was given still opens after another revision became active. One query; fs.ErrNotExist.
func (s *Store) Lookup(ctx context.Context, t Table, name string) (Entry, error) {
	dir, base := splitPath(name)
	e, err := scanEntry(s.db.QueryRow(ctx, `select id, path, size, created_at, dir from (
			select f.id, f.file_name as path, f.object_size as size, f.created_at, false as dir, p.active, p.id as location
			from physical_tables p join file_metadata f on f.location_id = p.id
			where `+ofTable+` and f.file_name = $5
			union all
			select d.id, $5, 0, d.created_at, true, p.active, p.id
			from physical_tables p join file_directories d on d.location_id = p.id
			where `+ofTable+` and d.dir = $6 and d.name = $7) e
		order by active desc, location desc limit 1`, t.args(name, dir, base)...))
	if err != nil {
		return Entry{}, fmt.Errorf("%s/%s: %w", t, name, err)
	}
	return e, nil
}

// LookupIn finds a path in one revision. One query; fs.ErrNotExist.
func (s *Store) LookupIn(ctx context.Context, locationID int64, name string) (Entry, error) {
	dir, base := splitPath(name)
	e, err := scanEntry(s.db.QueryRow(ctx, `
			select id, file_name, object_size, created_at, false
			from file_metadata where location_id = $1 and file_name = $2
			union all
			select id, $2, 0, created_at, true
			from file_directories where location_id = $1 and dir = $3 and name = $4`, locationID, name, dir, base))
	if err != nil {
		return Entry{}, fmt.Errorf("%s in revision %d: %w", name, locationID, err)
	}
	return e, nil
}

// FilesBetween streams the files of a revision whose ids are in [first, last], by id: what a follower of
// metadb.ChangeFiles asks for. See List for the stream.
func (s *Store) FilesBetween(ctx context.Context, locationID, first, last int64) iter.Seq2[Entry, error] {
	// The sign keeps SQLite from going through all files of the revision by an index instead of by id.
	return stream(ctx, s.db, scanEntry, `select id, file_name, object_size, created_at, false from file_metadata
		where id between $1 and $2 and +location_id = $3 order by id`, first, last, locationID)
}

func scanEntry(row scanner) (Entry, error) { return new(entryScanner).scan(row) }

// entryScanner scans entries one by one into the same place.
type entryScanner struct {
	entry   Entry
	created int64
	dest    []any // pointers to them
}

func (s *entryScanner) scan(row scanner) (Entry, error) {
	e := &s.entry
	if s.dest == nil {
		s.dest = []any{&e.ID, &e.Path, &e.Size, &s.created, &e.Dir}
	}
	if err := row.Scan(s.dest...); err != nil {
		return Entry{}, err
	}
	e.Name, e.ModTime = path.Base(e.Path), metadb.Time(s.created)
	return *e, nil
}

// splitPath cuts a path into its directory, "" for the root, and its last element.
func splitPath(name string) (dir, base string) {
	dir, base = path.Split(name)
	if dir != "" {
		dir = dir[:len(dir)-1]
	}
	return dir, base
}

// scanner is one row, of one or of many.
type scanner interface {
	Scan(dest ...any) error
}

// stream sends a query when it is ranged over, and yields its rows. It ends after the first error.
func stream[T any](ctx context.Context, q metadb.Queryer, scan func(scanner) (T, error), query string, args ...any,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := q.Query(ctx, query, args...)
		if err != nil {
			yield(none, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			v, err := scan(rows)
			if !yield(v, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, err)
		}
	}
}
