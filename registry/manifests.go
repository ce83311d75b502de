package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
)

// ManifestInfo is what the database knows of a registered manifest.
type ManifestInfo struct {
	ID        int64        // the database's, never given to another manifest
	Hash      dataset.Hash // SHA-256 of the content
	Kind      string       // as its registrar named it
	Path      string       // key in the object store
	Size      int64        // bytes
	CreatedAt time.Time    // when it was first registered
}

const manifestColumns = `m.id, m.hash, m.kind, m.path, m.size, m.created_at`

// columns are where manifestColumns are scanned to.
func (m *ManifestInfo) columns() []any {
	return []any{&m.ID, hashColumn{&m.Hash}, &m.Kind, &m.Path, &m.Size, timeColumn{&m.CreatedAt}}
}

func scanManifest(s scanner) (m ManifestInfo, err error) {
	err = s.Scan(m.columns()...)
	return m, err
}

// Register stores a manifest and returns its hash. The content must be JSON in canonical form (RFC 8785), or it is refused
// with fs.ErrInvalid and nothing is stored. The object is durable before the row is seen. What is registered already
// stays as it is, and an object that is gone or damaged is written again; so a failed or interrupted call is mended by
// repeating it. It may run together with any other call, Delete of the same manifest included.
func (r *Registry) Register(ctx context.Context, kind string, canonical []byte) (dataset.Hash, error) {
	switch form, err := manifest.Canonical(canonical); {
	case err != nil:
		return dataset.Hash{}, fmt.Errorf("register a manifest: %w", err)
	case !bytes.Equal(form, canonical):
		return dataset.Hash{}, fail(fs.ErrInvalid, "register a manifest: the content is not in canonical form (RFC 8785)")
	}
	h := dataset.HashOf(canonical)
	if err := r.ensureObject(ctx, h, canonical); err != nil {
		return dataset.Hash{}, fmt.Errorf("register manifest %s: %w", h, err)
	}
	err := r.db.Update(ctx, func(tx *metadb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO manifests (hash, path, kind, size, created_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (hash) DO UPDATE SET path = excluded.path`,
			h.String(), objectKey(h), kind, int64(len(canonical)), metadb.Micros(time.Now()))
		if err != nil {
			return err
		}
		// A deletion may have removed the object since it was written. It cannot any more: the row is ours now.
		return r.ensureObject(ctx, h, canonical)
	})
	if err != nil {
		return dataset.Hash{}, fmt.Errorf("register manifest %s: %w", h, err)
	}
	return h, nil
}

// ensureObject writes the manifest's object unless it is there, whole.
func (r *Registry) ensureObject(ctx context.Context, h dataset.Hash, data []byte) error {
	have, err := r.store.ReadAll(ctx, objectKey(h))
	if err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = r.store.Put(ctx, objectKey(h), data)
	return err
}

// Manifest returns the content of a registered manifest, verified against its hash. It is fs.ErrNotExist if the manifest
// is not registered, and fault.ErrCorrupt if it is but its object is gone or holds other bytes.
func (r *Registry) Manifest(ctx context.Context, h dataset.Hash) ([]byte, error) {
	info, err := r.Info(ctx, h)
	if err != nil {
		return nil, err
	}
	return r.Content(ctx, info)
}

// Content is [Registry.Manifest] for who has the row already: it asks the database only where the object is gone.
func (r *Registry) Content(ctx context.Context, info ManifestInfo) ([]byte, error) {
	data, err := r.store.ReadAll(ctx, info.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return r.withoutObject(ctx, info)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", info.Hash, err)
	}
	if sum := dataset.HashOf(data); sum != info.Hash {
		return nil, fail(fault.ErrCorrupt, "manifest %s: its object %s in %s hashes to %s; register the manifest again to heal it", info.Hash, info.Path, r.store.URL(), sum)
	}
	return data, nil
}

// withoutObject is Manifest where the object was not there after the row was: it may have been deleted in between.
func (r *Registry) withoutObject(ctx context.Context, was ManifestInfo) ([]byte, error) {
	switch now, err := r.Info(ctx, was.Hash); {
	case err != nil:
		return nil, err
	case now.ID != was.ID:
		return r.Manifest(ctx, was.Hash)
	}
	return nil, fail(fault.ErrCorrupt, "manifest %s: its object %s is gone from %s; register the manifest again to heal it", was.Hash, was.Path, r.store.URL())
}

// Info returns what the database knows of a manifest, fs.ErrNotExist if it is not registered. It does not look at the
// object.
func (r *Registry) Info(ctx context.Context, h dataset.Hash) (ManifestInfo, error) {
	info, err := scanManifest(r.db.QueryRow(ctx, `SELECT `+manifestColumns+` FROM manifests m WHERE m.hash = $1`, h.String()))
	if errors.Is(err, fs.ErrNotExist) {
		return ManifestInfo{}, notRegistered(h)
	}
	if err != nil {
		return ManifestInfo{}, fmt.Errorf("manifest %s: %w", h, err)
	}
	return info, nil
}

func notRegistered(h dataset.Hash) error {
	return fail(fs.ErrNotExist, "manifest %s is not registered", h)
}

// Manifests lists the registered manifests in the order of their registration: all of them, or only the orphans, those
// that no dataset links.
func (r *Registry) Manifests(ctx context.Context, orphans bool) ([]ManifestInfo, error) {
	where := ``
	if orphans {
		where = ` WHERE NOT EXISTS (SELECT 1 FROM dataset_manifests l WHERE l.hash = m.hash)`
	}
	all, err := collect(ctx, r.db, scanManifest, `SELECT `+manifestColumns+` FROM manifests m`+where+` ORDER BY m.id`)
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	return all, nil
}

// Delete removes a manifest: its row, then its object. While a dataset links it, or tables hold revisions of it, it is
// refused with fault.ErrConflict; of a link and a deletion at once exactly one fails. Deleting what is not registered is
// success, and removes an object that an interrupted call left behind.
func (r *Registry) Delete(ctx context.Context, h dataset.Hash) error {
	if err := r.db.Update(ctx, func(tx *metadb.Tx) error { return deleteRow(ctx, tx, h) }); err != nil {
		return fmt.Errorf("delete manifest %s: %w", h, err)
	}
	if err := r.deleteObject(ctx, h); err != nil {
		return fmt.Errorf("delete the object of manifest %s: %w", h, err)
	}
	return nil
}

func deleteRow(ctx context.Context, tx *metadb.Tx, h dataset.Hash) error {
	if err := lockManifest(ctx, tx, h); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	links, err := collect(ctx, tx, scanName, `SELECT namespace, name FROM dataset_manifests WHERE hash = $1 ORDER BY namespace, name`, h.String())
	if err != nil {
		return err
	}
	if len(links) > 0 {
		return fail(fault.ErrConflict, "it is linked to %s", strings.Join(links, ", "))
	}
	_, err = tx.Exec(ctx, `DELETE FROM manifests WHERE hash = $1`, h.String())
	if errors.Is(err, fault.ErrConflict) {
		return fail(fault.ErrConflict, "tables still hold revisions of it")
	}
	return err
}

func scanName(s scanner) (string, error) {
	var namespace, name string
	err := s.Scan(&namespace, &name)
	return namespace + "/" + name, err
}

// lockManifest holds a manifest's row until the transaction ends; fs.ErrNotExist if there is none.
func lockManifest(ctx context.Context, tx *metadb.Tx, h dataset.Hash) error {
	var hash string
	return tx.QueryRow(ctx, `SELECT hash FROM manifests WHERE hash = $1`+tx.ForUpdate(), h.String()).Scan(&hash)
}

// errRelease ends a transaction that only held something.
var errRelease = errors.New("nothing to commit")

// deleteObject removes a manifest's object unless the manifest is registered (again). The row is gone by then, so what
// keeps a registration out meanwhile is the row's key, claimed by an insertion that is rolled back.
func (r *Registry) deleteObject(ctx context.Context, h dataset.Hash) error {
	err := r.db.Update(ctx, func(tx *metadb.Tx) error {
		n, err := tx.Exec(ctx, `INSERT INTO manifests (hash, path, kind, size, created_at) VALUES ($1, $2, '', 0, 0)
			ON CONFLICT (hash) DO NOTHING`, h.String(), objectKey(h))
		if err != nil || n == 0 {
			return err
		}
		if err := r.store.Delete(ctx, objectKey(h)); err != nil {
			return err
		}
		return errRelease
	})
	if errors.Is(err, errRelease) {
		return nil
	}
	return err
}
