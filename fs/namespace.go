package fs

import (
	"context"

	"github.com/annexfs/annexfs/internal/dataset"
)

// namespaceDir lists the datasets of one namespace: those with a linked manifest.
type namespaceDir struct {
	t     *tree
	inode uint64
	ns    dataset.Namespace
}

var _ directory = (*namespaceDir)(nil)

func (d *namespaceDir) ino() uint64 { return d.inode }

func (d *namespaceDir) attr(ctx context.Context) (attr, error) {
	row, err := d.t.Registry.Namespace(ctx, d.ns)
	if err != nil {
		return attr{}, err
	}
	return dirAttr(d.inode, row.ModTime), nil
}

func (d *namespaceDir) lookup(ctx context.Context, name string) (entry, error) {
	n, err := dataset.ParseName(name)
	if err != nil {
		return entry{}, errNeverExists
	}
	row, err := d.t.Registry.Dataset(ctx, dataset.ID{Namespace: d.ns, Name: n})
	if err != nil {
		return entry{}, err
	}
	return d.child(n, row.ModTime.UnixNano()), nil
}

func (d *namespaceDir) list(ctx context.Context, add func(entry)) error {
	rows, err := d.t.Registry.Datasets(ctx, d.ns)
	if err != nil {
		return err
	}
	for _, row := range rows {
		add(d.child(dataset.Name(row.Name), row.ModTime.UnixNano()))
	}
	return nil
}

func (d *namespaceDir) child(name dataset.Name, mtime int64) entry {
	n := &datasetDir{t: d.t, inode: pathIno(d.inode, string(name)), parent: d.inode, id: dataset.ID{Namespace: d.ns, Name: name}}
	return entry{string(name), attr{ino: n.inode, mode: modeDir, mtime: mtime}, n}
}
