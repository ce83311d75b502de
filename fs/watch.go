package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"slices"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
)

// watch follows the database until ctx ends and tells the kernel which of its answers to drop: entries of symlinks and
// files, attributes and listings of directories; never file pages, and no entry of a directory that exists, since that
// would detach what is mounted below it.
func (t *tree) watch(ctx context.Context, after int64) {
	t.stats.change.Store(after)
	err := t.DB.Watch(ctx, after, func(changes []metadb.Change) {
		t.stats.heard.Store(time.Now().UnixNano())
		t.follow(ctx, changes)
	})
	if err != nil && ctx.Err() == nil {
		t.log.Error("the mount no longer hears of changes: remount it", "error", err)
	}
}

// follow applies changes in their order, those of one dataset together.
func (t *tree) follow(ctx context.Context, changes []metadb.Change) {
	byDataset := map[dataset.ID][]metadb.Change{}
	var order []dataset.ID
	for _, c := range changes {
		t.stats.change.Store(c.Seq)
		if c.Kind == metadb.ChangeReset {
			t.reset(ctx)
			continue
		}
		id := dataset.ID{Namespace: dataset.Namespace(c.Namespace), Name: dataset.Name(c.Name)}
		if byDataset[id] == nil {
			order = append(order, id)
		}
		byDataset[id] = append(byDataset[id], c)
	}
	for _, id := range order {
		t.changed(ctx, id, byDataset[id])
	}
}

// reset treats every known dataset as changed in every way: the follower fell behind what the database keeps.
func (t *tree) reset(ctx context.Context) {
	for _, id := range t.nodes.datasets() {
		t.changed(ctx, id, nil)
	}
}

// changed brings the known nodes of a dataset up to date. No changes means all that can be.
func (t *tree) changed(ctx context.Context, id dataset.ID, changes []metadb.Change) {
	members := t.nodes.members(id)
	moved := map[*versionDir]bool{}
	if concernsVersions(changes) { // first: tables ask their version which manifest they show
		for _, n := range members {
			switch n := n.(type) {
			case *datasetDir:
				t.datasetChanged(ctx, n)
			case *versionDir:
				moved[n] = t.versionChanged(ctx, n)
			}
		}
	}
	tables := tablesOf(members)
	names := t.newNames(ctx, tables, changes)
	for _, n := range members {
		switch n := n.(type) {
		case *tableDir:
			replaced := moved[n.version] || concernsTable(changes, n.table(), metadb.ChangeActivate)
			if replaced || concernsTable(changes, n.table(), metadb.ChangeFiles) {
				t.tableChanged(ctx, n, replaced)
			}
		case *revisionsDir:
			if concernsTable(changes, n.table.table(), metadb.ChangeActivate) {
				t.dropAttr(n.inode)
				t.dropEntry(n.inode, activeName)
			}
		case *revisionDir:
			if concernsTable(changes, n.rev.Table, metadb.ChangeFiles) {
				n.listing.changed()
				t.dropAttr(n.inode)
			}
		}
	}
	for table, found := range names {
		for _, name := range found {
			t.dropName(tables, table.Name, name, func(d *tableDir) bool { return d.table() == table })
		}
	}
}

func concernsVersions(changes []metadb.Change) bool {
	for _, c := range changes {
		if c.Kind == metadb.ChangeTag || c.Kind == metadb.ChangeLink || c.Kind == metadb.ChangeUnlink {
			return true
		}
	}
	return changes == nil
}

// concernsTable tells whether there is a change of one of the kinds to the table.
func concernsTable(changes []metadb.Change, table datastore.Table, kinds ...metadb.ChangeKind) bool {
	for _, c := range changes {
		if slices.Contains(kinds, c.Kind) && c.Table == string(table.Name) && c.Hash == table.Manifest.String() {
			return true
		}
	}
	return changes == nil
}

// datasetChanged drops the symlinks, which may point elsewhere, and the directory's own entry where its last link went.
func (t *tree) datasetChanged(ctx context.Context, d *datasetDir) {
	for _, ino := range []uint64{inoRoot, d.parent, d.inode} {
		t.dropAttr(ino)
	}
	t.dropEntry(d.inode, "@"+dataset.Latest.String())
	t.dropEntry(d.inode, "@"+dataset.Dev.String())
	if _, err := d.t.Registry.Dataset(ctx, d.id); errors.Is(err, iofs.ErrNotExist) {
		t.dropEntry(d.parent, string(d.id.Name))
	}
}

// versionChanged looks up what a version denotes now, and reports whether it is another manifest. A version that is
// gone loses its entry: the directory no longer exists.
func (t *tree) versionChanged(ctx context.Context, d *versionDir) bool {
	before := d.attrOf(d.current())
	changed, err := d.refresh(ctx)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		t.dropEntry(d.parent.inode, d.name)
		return false
	case err != nil:
		t.log.Warn("a version cannot be looked up again", "dataset", d.parent.id.String(), "version", d.name, "error", err)
		return false
	}
	if changed {
		t.dropEntry(d.inode, manifestName)
	}
	if d.attrOf(d.current()) != before {
		t.dropAttr(d.inode)
	}
	return changed
}

// tableChanged drops what the kernel keeps of a table's listing. In a files table a path may be another file under
// another revision, so the entries of the files in it go too; a parquet file's name means one content for ever.
func (t *tree) tableChanged(ctx context.Context, d *tableDir, replaced bool) {
	d.listing.changed()
	t.dropAttr(d.inode)
	if !replaced || d.spec.Kind != manifest.Files {
		return
	}
	l, err := readListing(ctx, d)
	if err != nil {
		t.log.Warn("a table cannot be listed again", "dataset", d.datasetID().String(), "table", d.spec.Name, "error", err)
		return
	}
	for i := range l.size {
		if e := l.at(i); e.node == nil {
			t.dropEntry(d.inode, e.name)
		}
	}
}

// dropAttr makes the kernel ask for the attributes again, and keeps pages.
func (t *tree) dropAttr(ino uint64) {
	t.stats.notifications.Add(1)
	t.notified("inode", t.server.InodeNotify(ino, -1, 0))
}

// dropEntry makes the kernel ask for a name again.
func (t *tree) dropEntry(parent uint64, name string) {
	t.stats.notifications.Add(1)
	t.notified("entry", t.server.EntryNotify(parent, name))
}

func (t *tree) notified(what string, s fuse.Status) {
	if !s.Ok() && s != fuse.ENOENT { // ENOENT: the kernel does not know it
		t.log.Warn("the kernel did not take a notification", "what", what, "status", s.String())
	}
}
