package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// CarryOptions say how files are carried.
type CarryOptions struct {
	Actor string // who, for the history of activations
	// First, where there is one, runs at the beginning of the same transaction, which its error ends.
	First func(context.Context, *metadb.Tx) error
}

// Carried is a table whose files get another one.
type Carried struct {
	From, To Table
	Revision Revision // the new one; zero where From has no files, and nothing was done
	Files    int64
}

// Carry gives tables the files of other ones, in one transaction for all of them: each gets a new active revision, whose
// rows name the same objects and have the same footers and statistics. No object is copied. The caller knows that the
// schemas are the same. A table that has files already is fault.ErrConflict.
func (s *Store) Carry(ctx context.Context, tables []Carried, o CarryOptions) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		if o.First != nil {
			if err := o.First(ctx, tx); err != nil {
				return err
			}
		}
		if err := lockAll(ctx, tx, tables); err != nil {
			return err
		}
		for i := range tables {
			c := &tables[i]
			c.Revision, c.Files = Revision{}, 0
			if err := s.carry(ctx, tx, c, o.Actor); err != nil {
				return fmt.Errorf("from %s: %w", c.From, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("carry files: %w", err)
	}
	for _, c := range tables {
		if c.Revision.ID != 0 {
			s.recordActive(ctx, c.To)
		}
	}
	return nil
}

// lockAll locks the tables of both sides, in one order for everybody.
func lockAll(ctx context.Context, tx *metadb.Tx, tables []Carried) error {
	var all []Table
	for _, c := range tables {
		for _, t := range []Table{c.From, c.To} {
			if !slices.ContainsFunc(all, func(o Table) bool { return o.Manifest == t.Manifest }) {
				all = append(all, t)
			}
		}
	}
	slices.SortFunc(all, func(a, b Table) int { return strings.Compare(a.Manifest.String(), b.Manifest.String()) })
	for _, t := range all {
		if err := lockTable(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) carry(ctx context.Context, tx *metadb.Tx, c *Carried, actor string) error {
	from, err := revisionWhere(ctx, tx, ofTable+` and p.active`+tx.ForUpdate(), c.From.args()...)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, t := range []Table{c.From, c.To} {
		var there int64
		if err := tx.QueryRow(ctx, `select count(*) from (select f.id from physical_tables p
			join file_metadata f on f.location_id = p.id where `+ofTable+` and p.active limit 1) n`, t.args()...).Scan(&there); err != nil {
			return err
		}
		if there == 0 && t == c.From {
			return nil
		}
		if there > 0 && t == c.To {
			return fmt.Errorf("%s has files already: %w", c.To, fault.ErrConflict)
		}
	}
	if c.Revision, err = create(ctx, tx, c.To, CreateOptions{Actor: actor}); err != nil {
		return err
	}
	c.Files, err = copyRows(ctx, tx, from.ID, c.Revision)
	return err
}

// copyRows gives a new revision the rows of another one.
func copyRows(ctx context.Context, tx *metadb.Tx, from int64, to Revision) (files int64, err error) {
	const columns = `file_name, dir, url, object_size, object_e_tag, object_version, sha256, row_count, created_at,
		footer_offset, metadata`
	if files, err = tx.Exec(ctx, `insert into file_metadata (location_id, `+columns+`) select $1, `+columns+`
		from file_metadata where location_id = $2 order by id`, to.ID, from); err != nil || files == 0 {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `insert into footer_cache (file_id, footer) select n.id, c.footer from file_metadata o
		join footer_cache c on c.file_id = o.id join file_metadata n on n.location_id = $1 and n.file_name = o.file_name
		where o.location_id = $2`, to.ID, from); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `insert into file_directories (location_id, dir, name, created_at)
		select $1, dir, name, $2 from file_directories where location_id = $3`,
		to.ID, metadb.Micros(time.Now()), from); err != nil {
		return 0, err
	}
	c := to.Table.change(metadb.ChangeFiles)
	c.LocationID = to.ID
	if err := tx.QueryRow(ctx, `select min(id), max(id) from file_metadata where location_id = $1`, to.ID).
		Scan(&c.FirstFile, &c.LastFile); err != nil {
		return 0, err
	}
	tx.Record(c)
	return files, nil
}
