package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
)

// register makes sure that the database knows the repository. A row that is there stays as it is.
func register(ctx context.Context, dir string, c Config) error {
	target, err := c.DatabaseURL(dir)
	if err != nil {
		return err
	}
	db, err := metadb.Open(ctx, target, metadb.Options{})
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx *metadb.Tx) error { return insertRepository(ctx, tx, dir, c) })
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("register the repository: %w", err)
	}
	return nil
}

// insertRepository names the repository after its directory, and after its UUID too where another has that name.
func insertRepository(ctx context.Context, tx *metadb.Tx, dir string, c Config) error {
	var name string
	err := tx.QueryRow(ctx, `SELECT name FROM repositories WHERE uuid = $1`, c.UUID.String()).Scan(&name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	location := (&url.URL{Scheme: "file", Host: node(), Path: dir}).String()
	base := filepath.Base(dir)
	for _, name := range []string{base, base + "-" + c.UUID.String()} {
		n, err := tx.Exec(ctx, `INSERT INTO repositories (uuid, name, url, kind, created_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT DO NOTHING`, c.UUID.String(), name, location, "local", metadb.Micros(time.Now()))
		if err != nil || n == 1 {
			return err
		}
	}
	return nil
}

// RegisteredAt is since when the database knows the repository: what was stored before that, it may never have heard of.
// A database that was made again and knows nothing of it is fs.ErrNotExist.
func (r *Repo) RegisteredAt(ctx context.Context) (time.Time, error) {
	var at int64
	err := r.DB.QueryRow(ctx, `SELECT created_at FROM repositories WHERE uuid = $1`, r.Config.UUID.String()).Scan(&at)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, fail(fs.ErrNotExist, "the database does not know the repository %s; 'annexfs init %s' registers it", r.Config.UUID, r.Dir)
	}
	return metadb.Time(at), err
}
