package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// Link is a manifest's membership in a dataset.
type Link struct {
	Hash     dataset.Hash
	LinkedAt time.Time // when it was linked last
	No       int64     // grows with every link of the dataset; `dev` denotes the one with the highest
}

// Link makes the manifest one of the dataset's, which comes into being with its first, and sets `dev` to it, also when it
// was linked before. Linking what `dev` denotes already changes nothing. A manifest that is not registered is fs.ErrNotExist.
func (r *Registry) Link(ctx context.Context, id dataset.ID, h dataset.Hash) error {
	return r.db.Update(ctx, func(tx *metadb.Tx) error { return r.LinkIn(ctx, tx, id, h, nil) })
}

// LinkIn is Link in a transaction of the caller's, whose first statements these must be (see LOCK ORDERING). Where `dev`
// does not denote the manifest that is expected, if one is (the zero one: there is no such dataset), it is
// fault.ErrConflict.
func (*Registry) LinkIn(ctx context.Context, tx *metadb.Tx, id dataset.ID, h dataset.Hash, expected *dataset.Hash) error {
	err := editIn(ctx, tx, id, func(e *edit) error {
		no, err := e.lockForLink(ctx)
		if err != nil {
			return err
		}
		switch err := lockManifest(ctx, e.tx, h); {
		case errors.Is(err, fs.ErrNotExist):
			return notRegistered(h)
		case err != nil:
			return err
		}
		dev := e.before[devTag].Hash
		if expected != nil && dev != *expected {
			return fail(fault.ErrConflict, "another manifest was linked to %s meanwhile", id)
		}
		if dev == h {
			return nil
		}
		_, err = e.exec(ctx, `INSERT INTO dataset_manifests (namespace, name, hash, link_no, created_at, linked_at)
			VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (namespace, name, hash) DO UPDATE SET link_no = excluded.link_no, linked_at = excluded.linked_at`,
			h.String(), no, e.now, e.now)
		if err != nil {
			return err
		}
		e.note(metadb.ChangeLink, "", h)
		return nil
	})
	if err != nil {
		return fmt.Errorf("link %s: %w", id, err)
	}
	return nil
}

// Dev returns the manifest that `dev` denotes by what q sees, which may be a transaction; fs.ErrNotExist if there is no
// such dataset.
func (*Registry) Dev(ctx context.Context, q metadb.Queryer, id dataset.ID) (h dataset.Hash, err error) {
	err = q.QueryRow(ctx, `SELECT hash FROM dataset_tags WHERE namespace = $1 AND name = $2 AND version = $3`,
		withID(id, []any{devTag})...).Scan(hashColumn{&h})
	if errors.Is(err, fs.ErrNotExist) {
		return h, noDataset(id)
	}
	return h, err
}

// HoldDev is Dev in a transaction of the caller's, whose first statements these must be (see LOCK ORDERING): until it ends,
// no other manifest is linked.
func (r *Registry) HoldDev(ctx context.Context, tx *metadb.Tx, id dataset.ID) (dataset.Hash, error) {
	e := &edit{tx: tx, id: id}
	if err := e.hold(ctx); err != nil {
		return dataset.Hash{}, err
	}
	return r.Dev(ctx, tx, id)
}

// Unlink takes the manifest from the dataset, with the tags that denote it; `latest` and `dev` follow. It is success
// where there is no such link or dataset. The tables' revisions stay, and are found again when the manifest is linked again.
func (r *Registry) Unlink(ctx context.Context, id dataset.ID, h dataset.Hash) error {
	err := r.edit(ctx, id, func(e *edit) error {
		if err := e.lock(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		// The tags go by the foreign key's cascade.
		n, err := e.exec(ctx, `DELETE FROM dataset_manifests WHERE namespace = $1 AND name = $2 AND hash = $3`, h.String())
		if err != nil || n == 0 {
			return err
		}
		e.note(metadb.ChangeUnlink, "", h)
		for _, t := range e.before {
			if t.Hash == h && !t.follows() {
				e.note(metadb.ChangeTag, t.Name, dataset.Hash{})
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("unlink %s: %w", id, err)
	}
	return nil
}

// Links lists a dataset's manifests, the one linked last at the end. A dataset without any does not exist: fs.ErrNotExist.
func (r *Registry) Links(ctx context.Context, id dataset.ID) ([]Link, error) {
	links, err := collect(ctx, r.db, func(s scanner) (l Link, err error) {
		err = s.Scan(hashColumn{&l.Hash}, timeColumn{&l.LinkedAt}, &l.No)
		return l, err
	}, `SELECT hash, linked_at, link_no FROM dataset_manifests WHERE namespace = $1 AND name = $2 ORDER BY link_no`, withID(id, nil)...)
	if err != nil {
		return nil, fmt.Errorf("list the manifests of %s: %w", id, err)
	}
	if len(links) == 0 {
		return nil, noDataset(id)
	}
	return links, nil
}
