package datastore

import (
	"context"
	"iter"
	"time"
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
	return func(yield func(Entry, error) bool) { yield(Entry{}, errAPI) }
}

// Lookup finds a path in the active revision of t or, where that has none, in the newest retained one that has, so
// that a name somebody was given still opens after another revision became active. One query; fs.ErrNotExist.
func (s *Store) Lookup(ctx context.Context, t Table, path string) (Entry, error) {
	return Entry{}, errAPI
}

// LookupIn finds a path in one revision. One query; fs.ErrNotExist.
func (s *Store) LookupIn(ctx context.Context, locationID int64, path string) (Entry, error) {
	return Entry{}, errAPI
}

// FilesBetween streams the files of a revision whose ids are in [first, last], by id: what a follower of
// metadb.ChangeFiles asks for.
func (s *Store) FilesBetween(ctx context.Context, locationID, first, last int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) { yield(Entry{}, errAPI) }
}
