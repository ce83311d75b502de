package fs

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/registry"
)

// datasetDir lists a dataset's versions: semantic versions as directories, latest and dev as symlinks. A linked
// manifest is found by its hash, not listed.
type datasetDir struct {
	t             *tree
	inode, parent uint64
	id            dataset.ID
}

var (
	_ directory = (*datasetDir)(nil)
	_ member    = (*datasetDir)(nil)
)

func (d *datasetDir) ino() uint64           { return d.inode }
func (d *datasetDir) datasetID() dataset.ID { return d.id }

func (d *datasetDir) attr(ctx context.Context) (attr, error) {
	row, err := d.t.Registry.Dataset(ctx, d.id)
	if err != nil {
		return attr{}, err
	}
	return dirAttr(d.inode, row.ModTime), nil
}

func (d *datasetDir) lookup(ctx context.Context, name string) (entry, error) {
	if name == "@"+stagingName && d.t.writable != nil {
		to := path.Join("../..", controlName, stagingName, d.id.String())
		return d.link(name, pathIno(d.inode, name), to, time.Unix(0, 0)), nil
	}
	text, ok := strings.CutPrefix(name, "@")
	if !ok {
		return entry{}, errNeverExists
	}
	sel, err := dataset.ParseSelector(text)
	if err != nil {
		return entry{}, errNeverExists
	}
	if canonical := sel.String(); canonical != text { // an upper-case hash
		return d.link(name, pathIno(d.inode, name), "@"+canonical, time.Unix(0, 0)), nil
	}
	v, err := d.t.Registry.Version(ctx, d.id, sel)
	if err != nil {
		return entry{}, err
	}
	return d.child(name, v), nil
}

func (d *datasetDir) list(ctx context.Context, add func(entry)) error {
	versions, err := d.t.Registry.Versions(ctx, d.id)
	if err != nil {
		return err
	}
	for _, v := range versions {
		add(d.child("@"+v.Tag.Name, v))
	}
	return nil
}

// child is the symlink of a tag that moves by itself, or the directory of a version.
func (d *datasetDir) child(name string, v registry.Version) entry {
	if v.Tag.Target != "" {
		return d.link(name, makeIno(kindTag, v.Tag.ID), "@"+v.Tag.Target, v.Tag.UpdatedAt)
	}
	n := newVersionDir(d, name, v)
	if known, ok := d.t.nodes.get(n.inode).(*versionDir); ok {
		known.set(v)
		n = known
	}
	return entry{name, n.attrOf(v), n}
}

func (d *datasetDir) link(name string, ino uint64, target string, mtime time.Time) entry {
	n := &linkNode{inode: ino, to: target, mtime: mtime}
	return entry{name, n.stat(), n}
}
