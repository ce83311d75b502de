package fs

import (
	"context"

	"github.com/annexfs/annexfs/internal/dataset"
)

// rootDir lists the namespaces.
type rootDir struct{ t *tree }

var _ directory = (*rootDir)(nil)

func (d *rootDir) ino() uint64 { return inoRoot }

// attr tells the time of the last change of any dataset.
func (d *rootDir) attr(ctx context.Context) (attr, error) {
	rows, err := d.t.Registry.Namespaces(ctx)
	if err != nil {
		return attr{}, err
	}
	at := attr{ino: inoRoot, mode: modeDir}
	for _, row := range rows {
		at.mtime = max(at.mtime, row.ModTime.UnixNano())
	}
	return at, nil
}

func (d *rootDir) control() *controlDir { return &controlDir{t: d.t} }

func (d *rootDir) lookup(ctx context.Context, name string) (entry, error) {
	if name == controlName {
		return nodeEntry(ctx, name, d.control())
	}
	ns, err := dataset.ParseNamespace(name)
	if err != nil {
		return entry{}, errNeverExists
	}
	row, err := d.t.Registry.Namespace(ctx, ns)
	if err != nil {
		return entry{}, err
	}
	return d.child(ns, row.ModTime.UnixNano()), nil
}

func (d *rootDir) list(ctx context.Context, add func(entry)) error {
	rows, err := d.t.Registry.Namespaces(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		add(d.child(dataset.Namespace(row.Name), row.ModTime.UnixNano()))
	}
	return nil
}

func (d *rootDir) child(ns dataset.Namespace, mtime int64) entry {
	n := &namespaceDir{t: d.t, inode: pathIno(inoRoot, string(ns)), ns: ns}
	return entry{string(ns), attr{ino: n.inode, mode: modeDir, mtime: mtime}, n}
}
