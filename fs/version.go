package fs

import (
	"context"
	iofs "io/fs"
	"sync"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/registry"
)

const manifestName = "manifest.json"

// versionDir is the directory of a semantic version or of a manifest hash: manifest.json and the manifest's tables.
// The directory of a semantic version stays the same inode when the version is set to another manifest, so that what
// is mounted below stays mounted; what it shows changes.
type versionDir struct {
	t      *tree
	inode  uint64
	parent *datasetDir
	name   string // with the @
	sel    dataset.Selector

	mu      sync.Mutex // guards version
	version registry.Version
}

var (
	_ directory = (*versionDir)(nil)
	_ member    = (*versionDir)(nil)
)

func newVersionDir(d *datasetDir, name string, v registry.Version) *versionDir {
	n := &versionDir{t: d.t, parent: d, name: name, version: v}
	if v.Tag.ID != 0 {
		n.inode = makeIno(kindTag, v.Tag.ID)
		if version, err := dataset.ParseVersion(v.Tag.Name); err == nil {
			n.sel = dataset.SelectVersion(version)
		}
		return n
	}
	n.inode = pathIno(d.inode, name)
	n.sel = dataset.SelectHash(v.Hash)
	return n
}

func (d *versionDir) ino() uint64           { return d.inode }
func (d *versionDir) datasetID() dataset.ID { return d.parent.id }

func (d *versionDir) current() registry.Version {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.version
}

// refresh asks again which manifest the version denotes, and whether it changed.
func (d *versionDir) refresh(ctx context.Context) (changed bool, err error) {
	v, err := d.t.Registry.Version(ctx, d.parent.id, d.sel)
	if err != nil {
		return false, err
	}
	return d.set(v), nil
}

// set takes what a query answered, unless a later answer is known.
func (d *versionDir) set(v registry.Version) (changed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.Tag.UpdatedAt.Before(d.version.Tag.UpdatedAt) {
		return false
	}
	changed = v.Hash != d.version.Hash
	d.version = v
	return changed
}

func (d *versionDir) attr(context.Context) (attr, error) { return d.attrOf(d.current()), nil }

func (d *versionDir) attrOf(v registry.Version) attr {
	if v.Tag.ID != 0 {
		return dirAttr(d.inode, v.Tag.UpdatedAt)
	}
	return dirAttr(d.inode, v.LinkedAt)
}

func (d *versionDir) lookup(ctx context.Context, name string) (entry, error) {
	v := d.current()
	if name == manifestName {
		return d.manifestEntry(v), nil
	}
	table, err := dataset.ParseTableName(name)
	if err != nil {
		return entry{}, errNeverExists
	}
	m, err := d.t.manifest(ctx, v.Manifest)
	if err != nil {
		return entry{}, err
	}
	spec, ok := m.Table(table)
	if !ok { // the version may be set to a manifest that has it
		return entry{}, iofs.ErrNotExist
	}
	return nodeEntry(ctx, name, newTableDir(d, spec))
}

func (d *versionDir) list(ctx context.Context, add func(entry)) error {
	v := d.current()
	add(d.manifestEntry(v))
	m, err := d.t.manifest(ctx, v.Manifest)
	if err != nil {
		return err
	}
	active, err := d.t.Data.ActiveTables(ctx, d.parent.id, v.Hash)
	if err != nil {
		return err
	}
	for _, spec := range m.Tables {
		n := newTableDir(d, spec)
		mtime := v.LinkedAt
		if rev, ok := active[spec.Name]; ok {
			mtime = rev.UpdatedAt
		}
		add(entry{string(spec.Name), dirAttr(n.inode, mtime), n})
	}
	return nil
}

func (d *versionDir) manifestEntry(v registry.Version) entry {
	n := &manifestFile{t: d.t, info: v.Manifest}
	return entry{manifestName, n.stat(), n}
}

func (d *versionDir) table(name dataset.TableName) datastore.Table {
	return datastore.Table{Dataset: d.parent.id, Manifest: d.current().Hash, Name: name}
}
