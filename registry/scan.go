package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// scanner is a row of one result or of many.
type scanner interface{ Scan(dest ...any) error }

// collect runs one query and returns what scan makes of each row.
func collect[T any](ctx context.Context, q metadb.Queryer, scan func(scanner) (T, error), sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// hashColumn scans the text of a hash.
type hashColumn struct{ to *dataset.Hash }

func (c hashColumn) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("a hash of type %T: %w", src, fault.ErrCorrupt)
	}
	h, err := dataset.ParseHash(text)
	if err != nil {
		return fmt.Errorf("hash %q in the database: %w", text, fault.ErrCorrupt)
	}
	*c.to = h
	return nil
}

// timeColumn scans an instant.
type timeColumn struct{ to *time.Time }

func (c timeColumn) Scan(src any) error {
	micros, ok := src.(int64)
	if !ok {
		return fmt.Errorf("an instant of type %T: %w", src, fault.ErrCorrupt)
	}
	*c.to = metadb.Time(micros)
	return nil
}
