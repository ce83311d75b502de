package datastore

import (
	"context"
	"iter"

	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
)

// File is all that is known of a file but its footer.
type File struct {
	Entry
	LocationID   int64
	Revision     uuid.UUID
	URL          string // as in NewFile
	ETag         string
	Version      string
	SHA256       [32]byte
	Rows         int64
	FooterOffset int64
	Statistics   Statistics
}

// File is the file with that id, or fs.ErrNotExist. One query.
func (s *Store) File(ctx context.Context, id int64) (File, error) {
	return File{}, errAPI
}

// Files streams all files of a revision with their statistics, by path. See List for the stream.
func (s *Store) Files(ctx context.Context, locationID int64) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) { yield(File{}, errAPI) }
}

// Stats are totals of a revision.
type Stats struct {
	Files int64
	Rows  int64
	Bytes int64
}

// Stats adds up a revision's files. A revision that is not there has none.
func (s *Store) Stats(ctx context.Context, locationID int64) (Stats, error) {
	return Stats{}, errAPI
}

// Footer is the end of a parquet file, unchanged.
type Footer struct {
	Offset int64 // where Bytes begins in the file
	Bytes  []byte
}

// Footer is the stored end of a file, read from the database alone; a file without one is fs.ErrNotExist.
func (s *Store) Footer(ctx context.Context, fileID int64) (Footer, error) {
	return Footer{}, errAPI
}

// ParquetMetadata is the parsed metadata of a file with its page indices, shared with all who ask: do not change it,
// and read no pages through it, since only the file's footer stands behind it.
//
// It comes from memory or from the stored footer, never from the object store. However many ask, one loads; who gives
// up waiting gets the context's error and disturbs nobody. Errors are not kept. fs.ErrNotExist where there is no
// footer.
func (s *Store) ParquetMetadata(ctx context.Context, fileID int64) (*parquet.File, error) {
	return nil, errAPI
}
