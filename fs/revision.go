package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
)

const activeName = "active"

// revisionsDir is .revisions: every retained revision by its UUID, and a symlink to the active one.
type revisionsDir struct {
	t     *tree
	inode uint64
	table *tableDir
}

var (
	_ directory = (*revisionsDir)(nil)
	_ member    = (*revisionsDir)(nil)
)

func newRevisionsDir(d *tableDir) *revisionsDir {
	return &revisionsDir{t: d.t, inode: pathIno(d.inode, revisionsName), table: d}
}

func (d *revisionsDir) ino() uint64           { return d.inode }
func (d *revisionsDir) datasetID() dataset.ID { return d.table.datasetID() }

func (d *revisionsDir) attr(ctx context.Context) (attr, error) {
	a, err := d.table.attr(ctx)
	a.ino = d.inode
	return a, err
}

func (d *revisionsDir) lookup(ctx context.Context, name string) (entry, error) {
	if name == activeName {
		rev, err := d.t.Data.Active(ctx, d.table.table())
		if err != nil {
			return entry{}, err
		}
		return d.active(rev), nil
	}
	id, err := uuid.Parse(name)
	if err != nil || id.String() != name {
		return entry{}, errNeverExists
	}
	rev, err := d.t.Data.Revision(ctx, d.table.table(), id)
	if err != nil {
		return entry{}, err
	}
	return d.child(name, rev), nil
}

func (d *revisionsDir) list(ctx context.Context, add func(entry)) error {
	revs, err := d.t.Data.Revisions(ctx, d.table.table())
	if err != nil {
		return err
	}
	for _, rev := range revs {
		add(d.child(rev.UUID.String(), rev))
		if rev.Active {
			add(d.active(rev))
		}
	}
	return nil
}

func (d *revisionsDir) child(name string, rev datastore.Revision) entry {
	n := &revisionDir{t: d.t, inode: pathIno(d.inode, name), table: d.table, rev: rev, mtime: rev.UpdatedAt}
	return entry{name, dirAttr(n.inode, n.mtime), n}
}

func (d *revisionsDir) active(rev datastore.Revision) entry {
	n := &linkNode{inode: pathIno(d.inode, activeName+rev.UUID.String()), to: rev.UUID.String(), mtime: rev.UpdatedAt}
	return entry{activeName, n.stat(), n}
}

// revisionDir shows the files of one revision, active or retained, or in a files table one directory of them.
type revisionDir struct {
	t       *tree
	inode   uint64
	table   *tableDir
	rev     datastore.Revision
	path    string
	mtime   time.Time
	listing listingState
}

var (
	_ cachedListing = (*revisionDir)(nil)
	_ member        = (*revisionDir)(nil)
)

func (d *revisionDir) ino() uint64                 { return d.inode }
func (d *revisionDir) datasetID() dataset.ID       { return d.table.datasetID() }
func (d *revisionDir) listingState() *listingState { return &d.listing }

func (d *revisionDir) attr(ctx context.Context) (attr, error) {
	if d.path != "" {
		return dirAttr(d.inode, d.mtime), nil
	}
	rev, err := d.t.Data.Revision(ctx, d.rev.Table, d.rev.UUID)
	if err != nil {
		return attr{}, err
	}
	return dirAttr(d.inode, rev.UpdatedAt), nil
}

func (d *revisionDir) lookup(ctx context.Context, name string) (entry, error) {
	if !possibleFile(d.table.spec, name) {
		return entry{}, errNeverExists
	}
	row, err := d.t.Data.LookupIn(ctx, d.rev.ID, join(d.path, name))
	if err != nil {
		return entry{}, err
	}
	return d.child(name, row), nil
}

func (d *revisionDir) list(ctx context.Context, add func(entry)) error {
	for row, err := range d.t.Data.List(ctx, d.rev.ID, d.path) {
		if err != nil {
			return err
		}
		add(d.child(row.Name, row))
	}
	return nil
}

func (d *revisionDir) child(name string, row datastore.Entry) entry {
	if !row.Dir {
		return entry{name: name, attr: fileAttr(row)}
	}
	n := &revisionDir{t: d.t, inode: pathIno(d.inode, name), table: d.table, rev: d.rev, path: join(d.path, name), mtime: row.ModTime}
	return entry{name, dirAttr(n.inode, n.mtime), n}
}

// atDir is .at: a directory for every instant, by its RFC 3339 name, found and not listed.
type atDir struct {
	t     *tree
	inode uint64
	table *tableDir
}

var _ directory = (*atDir)(nil)

func (d *atDir) ino() uint64                             { return d.inode }
func (d *atDir) attr(context.Context) (attr, error)      { return dirAttr(d.inode, time.Unix(0, 0)), nil }
func (d *atDir) list(context.Context, func(entry)) error { return nil }

// lookup finds the revision that was active then. What will be active is not known: an instant to come does not exist.
func (d *atDir) lookup(ctx context.Context, name string) (entry, error) {
	at, err := time.Parse(time.RFC3339, name)
	if err != nil {
		return entry{}, errNeverExists
	}
	if at.After(time.Now()) {
		return entry{}, iofs.ErrNotExist
	}
	rev, err := d.t.Data.ActiveAt(ctx, d.table.table(), at)
	if errors.Is(err, iofs.ErrNotExist) {
		return entry{}, errNeverExists
	}
	if err != nil {
		return entry{}, err
	}
	n := &revisionDir{t: d.t, inode: pathIno(d.inode, name), table: d.table, rev: rev, mtime: rev.UpdatedAt}
	return entry{name, dirAttr(n.inode, n.mtime), n}, nil
}
