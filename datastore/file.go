package datastore

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"path"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
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

const selectFile = `select f.id, f.file_name, f.object_size, f.created_at, f.location_id, p.revision, f.url,
	f.object_e_tag, f.object_version, f.sha256, f.row_count, f.footer_offset, f.metadata
	from file_metadata f join physical_tables p on p.id = f.location_id `

// File is the file with that id, or fs.ErrNotExist. One query.
func (s *Store) File(ctx context.Context, id int64) (File, error) {
	f, err := scanFile(s.db.QueryRow(ctx, selectFile+`where f.id = $1`, id))
	if err != nil {
		return File{}, fmt.Errorf("file %d: %w", id, err)
	}
	return f, nil
}

// Files streams all files of a revision with their statistics, by path. See List for the stream.
func (s *Store) Files(ctx context.Context, locationID int64) iter.Seq2[File, error] {
	return stream(ctx, s.db, scanFile, selectFile+`where f.location_id = $1 order by f.file_name`, locationID)
}

func scanFile(row scanner) (File, error) {
	var f File
	var created int64
	var revision, sum, statistics string
	err := row.Scan(&f.ID, &f.Path, &f.Size, &created, &f.LocationID, &revision, &f.URL, &f.ETag, &f.Version, &sum,
		&f.Rows, &f.FooterOffset, &statistics)
	if err != nil {
		return File{}, err
	}
	f.Name, f.ModTime = path.Base(f.Path), metadb.Time(created)
	if f.Revision, err = uuid.Parse(revision); err != nil {
		return File{}, fmt.Errorf("revision %d: %w", f.LocationID, err)
	}
	hash, err := dataset.ParseHash(sum)
	if err != nil {
		return File{}, fmt.Errorf("file %d: %w", f.ID, err)
	}
	f.SHA256 = hash
	if err := json.Unmarshal([]byte(statistics), &f.Statistics); err != nil {
		return File{}, fmt.Errorf("statistics of file %d: %w", f.ID, err)
	}
	return f, nil
}

// Stats are totals of a revision.
type Stats struct {
	Files int64
	Rows  int64
	Bytes int64
}

// Stats adds up a revision's files. A revision that is not there has none.
func (s *Store) Stats(ctx context.Context, locationID int64) (Stats, error) {
	var st Stats
	err := s.db.QueryRow(ctx, `select count(*), cast(coalesce(sum(row_count), 0) as bigint),
		cast(coalesce(sum(object_size), 0) as bigint) from file_metadata where location_id = $1`, locationID).
		Scan(&st.Files, &st.Rows, &st.Bytes)
	if err != nil {
		return Stats{}, fmt.Errorf("add up revision %d: %w", locationID, err)
	}
	return st, nil
}
