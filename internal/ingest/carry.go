package ingest

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
)

// LinkOptions of Link; the zero value brings no files.
type LinkOptions struct {
	Carry bool   // bring the files of tables that `dev` has with the same schema, without copying them
	Actor string // who, for the history of activations

	expected *dataset.Hash // what `dev` must denote; nil where that does not matter
}

// Link links a registered manifest to a dataset and makes it `dev`. It returns the tables that have no files under it and
// some, with the same schema, under the one that was `dev` before; with Carry they have these files now.
func (i *Ingester) Link(ctx context.Context, id dataset.ID, h dataset.Hash, o LinkOptions) ([]datastore.Carried, error) {
	before, err := i.Registry.Resolve(ctx, dataset.Reference{ID: id, Selector: dataset.Dev})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if o.expected != nil && before != *o.expected {
		return nil, errMoved
	}
	if before == h {
		return nil, nil
	}
	link := func(ctx context.Context, tx *metadb.Tx) error { return i.Registry.LinkIn(ctx, tx, id, h, &before) }
	if before.IsZero() {
		return nil, i.Data.Carry(ctx, nil, datastore.CarryOptions{First: link})
	}
	same, err := i.sameTables(ctx, id, before, h)
	if err != nil {
		return nil, err
	}
	if !o.Carry {
		return slices.DeleteFunc(same, func(c datastore.Carried) bool { return c.Files == 0 }), i.Registry.Link(ctx, id, h)
	}
	err = i.Data.Carry(ctx, same, datastore.CarryOptions{
		Actor: o.Actor, First: link,
	})
	return slices.DeleteFunc(same, func(c datastore.Carried) bool { return c.Files == 0 }), err
}

// Carry gives a table, which has no files yet, those of the same table under another manifest of its dataset: the one that
// from selects or, where it is zero, the one linked last of those that have files under the same schema. No file is
// copied. There is fs.ErrNotExist where no manifest has any, fault.ErrConflict where the schemas are not the same or the
// table has files.
func (i *Ingester) Carry(ctx context.Context, ref dataset.TableRef, from dataset.Selector, actor string) (datastore.Carried, error) {
	to, err := i.Target(ctx, ref)
	if err != nil {
		return datastore.Carried{}, err
	}
	sources, err := i.carrySources(ctx, to, from)
	if err != nil {
		return datastore.Carried{}, err
	}
	for _, h := range sources {
		c := []datastore.Carried{{From: datastore.Table{Dataset: to.Dataset, Manifest: h, Name: to.Name}, To: to.Table}}
		m, err := i.manifest(ctx, h)
		if err != nil {
			return c[0], err
		}
		was, declared := m.Table(to.Name)
		if !declared || !carries(was, to.Spec) {
			if !from.IsZero() {
				return c[0], conflict("%s@%s declares another table %s: the kind, the schema and the key columns must be the same", to.Dataset, from, to.Name)
			}
			continue
		}
		err = i.Data.Carry(ctx, c, datastore.CarryOptions{Actor: actor})
		if err != nil || c[0].Files > 0 {
			return c[0], err
		}
	}
	return datastore.Carried{}, fail(fs.ErrNotExist, "no other manifest of %s has files of a table %s of this schema", to.Dataset, to.Name)
}

// carrySources are the manifests to look for files in, the best first.
func (i *Ingester) carrySources(ctx context.Context, to Target, from dataset.Selector) ([]dataset.Hash, error) {
	if !from.IsZero() {
		h, err := i.Registry.Resolve(ctx, dataset.Reference{ID: to.Dataset, Selector: from})
		if err == nil && h == to.Manifest {
			err = fail(fs.ErrInvalid, "%s is the version that is to get the files", from)
		}
		return []dataset.Hash{h}, err
	}
	links, err := i.Registry.Links(ctx, to.Dataset)
	if err != nil {
		return nil, err
	}
	var all []dataset.Hash
	for _, l := range slices.Backward(links) {
		if l.Hash != to.Manifest {
			all = append(all, l.Hash)
		}
	}
	return all, nil
}

// files counts the files of a table's active revision.
func (i *Ingester) files(ctx context.Context, t datastore.Table) (int64, error) {
	rev, err := i.Data.Active(ctx, t)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	stats, err := i.Data.Stats(ctx, rev.ID)
	return stats.Files, err
}

// sameTables are the tables that both manifests declare alike and that have no files under the second. Files tells how
// many they have under the first now.
func (i *Ingester) sameTables(ctx context.Context, id dataset.ID, from, to dataset.Hash) ([]datastore.Carried, error) {
	was, err := i.manifest(ctx, from)
	if err != nil {
		return nil, err
	}
	is, err := i.manifest(ctx, to)
	if err != nil {
		return nil, err
	}
	var same []datastore.Carried
	for _, t := range is.Tables {
		if w, declared := was.Table(t.Name); !declared || !carries(w, t) {
			continue
		}
		c := datastore.Carried{
			From: datastore.Table{Dataset: id, Manifest: from, Name: t.Name},
			To:   datastore.Table{Dataset: id, Manifest: to, Name: t.Name},
		}
		var err error
		if c.Files, err = i.files(ctx, c.From); err != nil {
			return nil, err
		}
		filled, err := i.files(ctx, c.To)
		if err != nil {
			return nil, err
		}
		if filled == 0 {
			same = append(same, c)
		}
	}
	return same, nil
}

// carries tells whether files of a table declared as from are files of one declared as to.
func carries(from, to manifest.Table) bool {
	return from.Kind == to.Kind && from.Schema.Equal(to.Schema) && slices.Equal(from.KeyColumns, to.KeyColumns)
}
