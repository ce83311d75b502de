package fs

import (
	"context"
	"encoding/json"
	"errors"
	iofs "io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

// tableFile is .table.json: what the table is and holds at this moment.
type tableFile struct {
	t     *tree
	inode uint64
	dir   *tableDir
}

var (
	_ generated = (*tableFile)(nil)
	_ member    = (*tableFile)(nil)
)

// tableInfo is the form of .table.json.
type tableInfo struct {
	Dataset  string             `json:"dataset"`
	Manifest string             `json:"manifest_hash"`
	Table    string             `json:"table_name"`
	Kind     manifest.TableKind `json:"kind"`
	Schema   manifest.Schema    `json:"schema"`
	Files    int64              `json:"files"`
	Rows     int64              `json:"rows"`
	Bytes    int64              `json:"bytes"`
	Revision string             `json:"active_revision,omitempty"`
	Updated  *time.Time         `json:"updated_at,omitempty"`
	Writer   int64              `json:"writer,omitempty"`
}

func (f *tableFile) ino() uint64           { return f.inode }
func (f *tableFile) datasetID() dataset.ID { return f.dir.datasetID() }
func (f *tableFile) volatile() bool        { return true }

func (f *tableFile) attr(ctx context.Context) (attr, error) {
	data, err := f.content(ctx)
	if err != nil {
		return attr{}, err
	}
	a, err := f.dir.attr(ctx)
	return attr{ino: f.inode, mode: modeFile, size: int64(len(data)), mtime: a.mtime}, err
}

func (f *tableFile) content(ctx context.Context) ([]byte, error) {
	table := f.dir.table()
	info := tableInfo{Dataset: table.Dataset.String(), Manifest: table.Manifest.String(), Table: string(table.Name),
		Kind: f.dir.spec.Kind, Schema: f.dir.spec.Schema}
	rev, err := f.t.Data.Active(ctx, table)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		stats, err := f.t.Data.Stats(ctx, rev.ID)
		if err != nil {
			return nil, err
		}
		info.Files, info.Rows, info.Bytes = stats.Files, stats.Rows, stats.Bytes
		info.Revision, info.Writer, info.Updated = rev.UUID.String(), rev.Writer, &rev.UpdatedAt
	}
	return marshalLine(info)
}

// marshalLine is JSON for people: indented, with a line break at the end.
func marshalLine(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
