package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

// Names that a table directory answers and does not list.
const (
	revisionsName = ".revisions"
	atName        = ".at"
	tableJSONName = ".table.json"
)

// tableDir shows the active revision of a table, or in a files table one directory of it.
type tableDir struct {
	t       *tree
	inode   uint64
	version *versionDir
	spec    manifest.Table
	path    string // below the table; "" is the table itself
	mtime   time.Time
	listing listingState
}

var (
	_ cachedListing = (*tableDir)(nil)
	_ member        = (*tableDir)(nil)
)

func newTableDir(v *versionDir, spec manifest.Table) *tableDir {
	return &tableDir{t: v.t, inode: pathIno(v.inode, string(spec.Name)), version: v, spec: spec}
}

func (d *tableDir) ino() uint64                 { return d.inode }
func (d *tableDir) datasetID() dataset.ID       { return d.version.parent.id }
func (d *tableDir) listingState() *listingState { return &d.listing }
func (d *tableDir) table() datastore.Table      { return d.version.table(d.spec.Name) }

func (d *tableDir) attr(ctx context.Context) (attr, error) {
	if d.path != "" {
		return dirAttr(d.inode, d.mtime), nil
	}
	rev, err := d.t.Data.Active(ctx, d.table())
	if errors.Is(err, iofs.ErrNotExist) {
		return dirAttr(d.inode, d.version.current().LinkedAt), nil
	}
	if err != nil {
		return attr{}, err
	}
	return dirAttr(d.inode, rev.UpdatedAt), nil
}

func (d *tableDir) lookup(ctx context.Context, name string) (entry, error) {
	if d.path == "" {
		switch name {
		case revisionsName:
			return nodeEntry(ctx, name, newRevisionsDir(d))
		case atName:
			return nodeEntry(ctx, name, &atDir{t: d.t, inode: pathIno(d.inode, name), table: d})
		case tableJSONName:
			return nodeEntry(ctx, name, &tableFile{t: d.t, inode: pathIno(d.inode, name), dir: d})
		}
	}
	if !possibleFile(d.spec, name) {
		return entry{}, errNeverExists
	}
	row, err := d.t.Data.Lookup(ctx, d.table(), join(d.path, name))
	if err != nil {
		return entry{}, err
	}
	return d.child(name, row), nil
}

func (d *tableDir) list(ctx context.Context, add func(entry)) error {
	rev, err := d.t.Data.Active(ctx, d.table())
	if errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for row, err := range d.t.Data.List(ctx, rev.ID, d.path) {
		if err != nil {
			return err
		}
		add(d.child(row.Name, row))
	}
	return nil
}

func (d *tableDir) child(name string, row datastore.Entry) entry {
	if !row.Dir {
		return entry{name: name, attr: fileAttr(row)}
	}
	n := &tableDir{t: d.t, inode: pathIno(d.inode, name), version: d.version, spec: d.spec, path: join(d.path, name), mtime: row.ModTime}
	return entry{name, dirAttr(n.inode, n.mtime), n}
}

// possibleFile tells, without a query, whether a table of that kind could ever hold the name.
func possibleFile(spec manifest.Table, name string) bool {
	if spec.Kind == manifest.Files {
		return true
	}
	_, err := dataset.ParseFileName(name)
	return err == nil
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
