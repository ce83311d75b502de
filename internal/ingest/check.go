package ingest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
)

// maxDifferences bounds what one error tells of a schema.
const maxDifferences = 5

// Check judges whether a file of that size can be a file of the parquet table, by its footer alone, and returns what
// the footer tells. keys are the Hive partitions that the file's directories name (see Partitions).
//
// What is no parquet file, is empty, truncated or damaged is a *datastore.FormatError, which is fs.ErrInvalid; a file
// of another schema is fault.ErrConflict, and its error names the columns and both types. Errors of r are returned as
// they are.
func Check(r io.ReaderAt, size int64, t manifest.Table, keys map[string]string) (datastore.ParquetInfo, error) {
	info, err := datastore.ReadFooter(r, size)
	if err != nil {
		return datastore.ParquetInfo{}, err
	}
	schema, err := SchemaOf(info.File)
	if err != nil {
		return datastore.ParquetInfo{}, err
	}
	wrong := differences(t.Schema, schema)
	if wrong == nil {
		wrong = append(nulls(t.Schema, schema, info.Statistics), foreign(keys, info.Statistics)...)
	}
	if wrong != nil {
		return datastore.ParquetInfo{}, conflict("its schema is not the table's: %s%s", enumerate(wrong), partitionHint(keys, schema))
	}
	info.Statistics.Keys = keys
	return info, nil
}

// nulls tells which columns may hold nulls though the table has none there. Many writers declare every column nullable:
// then the statistics decide.
func nulls(want, got manifest.Schema, s datastore.Statistics) []string {
	var all []string
	for _, g := range got.Fields {
		w, _ := want.Field(g.Name)
		if w.Nullable || !g.Nullable || g.Children != nil {
			continue
		}
		switch n := s.Columns[g.Name].Nulls; {
		case n == nil:
			all = append(all, fmt.Sprintf("column %s is nullable and its statistics do not count nulls, the table has it not nullable", g.Name))
		case *n > 0:
			all = append(all, fmt.Sprintf("column %s holds %d nulls, the table has it not nullable", g.Name, *n))
		}
	}
	return all
}

// foreign tells which partition columns hold other values than the directory promises, as far as bounds are known whose
// text is that of a directory.
func foreign(keys map[string]string, s datastore.Statistics) []string {
	var all []string
	for _, column := range slices.Sorted(maps.Keys(keys)) {
		c, value := s.Columns[column], keys[column]
		low, high := bound(c, c.Min), bound(c, c.Max)
		if low != "" && low != value {
			all = append(all, fmt.Sprintf("column %s holds %s, its directory says %s", column, low, value))
		} else if high != "" && high != value {
			all = append(all, fmt.Sprintf("column %s holds %s, its directory says %s", column, high, value))
		}
	}
	return all
}

// bound is a bound as a directory would be named by it, "" where it is unknown or may be written in several ways.
func bound(c datastore.ColumnStatistics, raw json.RawMessage) string {
	switch c.Type {
	case datastore.TypeInt, datastore.TypeBool:
		return string(raw)
	case datastore.TypeString, datastore.TypeDate:
		var text string
		if json.Unmarshal(raw, &text) == nil {
			return text
		}
	}
	return ""
}

// partitionHint helps with what most writers do: they leave partition columns out of the files, where a reader of the
// table's flat directory would miss them.
func partitionHint(keys map[string]string, got manifest.Schema) string {
	for _, column := range slices.Sorted(maps.Keys(keys)) {
		if _, ok := got.Field(column); !ok {
			return "; " + column + " stands in the directory's name only: write it into the files too" +
				" (DuckDB: WRITE_PARTITION_COLUMNS true)"
		}
	}
	return ""
}

func enumerate(all []string) string {
	if more := len(all) - maxDifferences; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:maxDifferences], "; "), more)
	}
	return strings.Join(all, "; ")
}

// kindError is an error of a kind, told to a person in other words than the kind's own.
type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string { return e.text }
func (e *kindError) Unwrap() error { return e.kind }

func fail(kind error, format string, args ...any) error {
	return &kindError{kind: kind, text: fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error { return fail(fault.ErrConflict, format, args...) }
