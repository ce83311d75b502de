package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
)

// Entry is a namespace or a dataset, as a directory of the tree. Both exist as long as at least one manifest is linked.
type Entry struct {
	ID      int64  // a dataset's, or the lowest among a namespace's datasets; never another's
	Name    string // one path component, or "namespace/name" in a list of all datasets
	ModTime time.Time
}

// Version is a manifest as one name in a dataset denotes it.
type Version struct {
	Tag      Tag // zero where the name is a hash
	Hash     dataset.Hash
	Manifest ManifestInfo
	LinkedAt time.Time
}

// Each method below sends exactly one query, whether it finds something or not.

// Namespaces lists the namespaces by name.
func (r *Registry) Namespaces(ctx context.Context) ([]Entry, error) {
	return r.entries(ctx, "list namespaces", namespaceEntries+` GROUP BY d.namespace ORDER BY d.namespace`)
}

// Namespace returns one namespace, fs.ErrNotExist if it has no dataset.
func (r *Registry) Namespace(ctx context.Context, ns dataset.Namespace) (Entry, error) {
	e, err := scanEntry(r.db.QueryRow(ctx, namespaceEntries+` AND d.namespace = $1 GROUP BY d.namespace`, string(ns)))
	return e, entryError("namespace", string(ns), err)
}

// Datasets lists the datasets of a namespace by name, none if there is no such namespace; with "" those of all
// namespaces, each named "namespace/name".
func (r *Registry) Datasets(ctx context.Context, ns dataset.Namespace) ([]Entry, error) {
	if ns == "" {
		return r.entries(ctx, "list datasets", fmt.Sprintf(datasetEntries, `d.namespace || '/' || d.name`)+` ORDER BY d.namespace, d.name`)
	}
	return r.entries(ctx, "list datasets of "+string(ns), fmt.Sprintf(datasetEntries, `d.name`)+` AND d.namespace = $1 ORDER BY d.name`, string(ns))
}

// Dataset returns one dataset, fs.ErrNotExist if no manifest is linked to it.
func (r *Registry) Dataset(ctx context.Context, id dataset.ID) (Entry, error) {
	e, err := scanEntry(r.db.QueryRow(ctx, fmt.Sprintf(datasetEntries, `d.name`)+` AND d.namespace = $1 AND d.name = $2`, withID(id, nil)...))
	return e, entryError("dataset", id.String(), err)
}

const (
	namespaceEntries = `SELECT min(d.id), d.namespace, max(d.updated_at) FROM datasets d
		WHERE EXISTS (SELECT 1 FROM dataset_manifests l WHERE l.namespace = d.namespace)`
	datasetEntries = `SELECT d.id, %s, d.updated_at FROM datasets d
		WHERE EXISTS (SELECT 1 FROM dataset_manifests l WHERE l.namespace = d.namespace AND l.name = d.name)`
)

func scanEntry(s scanner) (e Entry, err error) {
	err = s.Scan(&e.ID, &e.Name, timeColumn{&e.ModTime})
	return e, err
}

func (r *Registry) entries(ctx context.Context, what, sql string, args ...any) ([]Entry, error) {
	all, err := collect(ctx, r.db, scanEntry, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return all, nil
}

func entryError(kind, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fail(fs.ErrNotExist, "there is no %s %s", kind, name)
	}
	return fmt.Errorf("%s %s: %w", kind, name, err)
}

const linkColumns = manifestColumns + `, l.linked_at`

// columns are where linkColumns are scanned to.
func (v *Version) columns() []any {
	return append(v.Manifest.columns(), timeColumn{&v.LinkedAt})
}

const (
	versionByHash = `SELECT ` + linkColumns + ` FROM dataset_manifests l JOIN manifests m ON m.hash = l.hash
		WHERE l.namespace = $1 AND l.name = $2 AND l.hash = $3`
	versionsByTag = `SELECT ` + tagColumns + `, ` + linkColumns + ` FROM dataset_tags t
		JOIN dataset_manifests l ON l.namespace = t.namespace AND l.name = t.name AND l.hash = t.hash
		JOIN manifests m ON m.hash = t.hash
		WHERE t.namespace = $1 AND t.name = $2`
)

// Version returns what the selector denotes in the dataset, the zero one meaning `latest`; fs.ErrNotExist if there is no
// such version or dataset.
func (r *Registry) Version(ctx context.Context, id dataset.ID, sel dataset.Selector) (v Version, err error) {
	if sel.IsZero() {
		sel = dataset.Latest
	}
	if h, ok := sel.Hash(); ok {
		err = r.db.QueryRow(ctx, versionByHash, withID(id, []any{h.String()})...).Scan(v.columns()...)
		v.Hash = v.Manifest.Hash
	} else {
		v, err = scanTagged(r.db.QueryRow(ctx, versionsByTag+` AND t.version = $3`, withID(id, []any{sel.String()})...))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Version{}, missing(id, sel)
	}
	if err != nil {
		return Version{}, fmt.Errorf("version %s of %s: %w", sel, id, err)
	}
	return v, nil
}

// Versions lists what all tags of the dataset denote, in the order of Tags. A dataset without any manifest does not
// exist: fs.ErrNotExist.
func (r *Registry) Versions(ctx context.Context, id dataset.ID) ([]Version, error) {
	all, err := collect(ctx, r.db, scanTagged, versionsByTag, withID(id, nil)...)
	if err == nil {
		err = sortByVersion(all, func(v Version) Tag { return v.Tag })
	}
	if err != nil {
		return nil, fmt.Errorf("list the versions of %s: %w", id, err)
	}
	if len(all) == 0 {
		return nil, noDataset(id)
	}
	return all, nil
}

func scanTagged(s scanner) (v Version, err error) {
	err = s.Scan(append(v.Tag.columns(), v.columns()...)...)
	v.Hash = v.Tag.Hash
	return v, err
}
