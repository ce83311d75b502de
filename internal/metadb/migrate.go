package metadb

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// One directory per dialect, the same versions in both. They only ever go forward: a migration that was released is
// never changed.
//
//go:embed migrations/*/*.sql
var migrations embed.FS

// versionTable is where goose notes what was applied.
const versionTable = "annexfs_schema"

var (
	// ErrSchemaNewer says that the database was migrated by a newer program than this.
	ErrSchemaNewer = errors.New("metadb: the schema is newer than this program")
	// ErrSchemaOlder says that the database must be migrated before this program can use it.
	ErrSchemaOlder = errors.New("metadb: the schema is older than this program")
)

// Migrate brings the database at url to the schema of this program and says from which version to which. It creates a
// SQLite file that is not there (its directory must be); a PostgreSQL database must exist. A database that is up to date
// is not written to, a newer one is refused with [ErrSchemaNewer]. Several processes may migrate at once.
func Migrate(ctx context.Context, url string) (from, to int64, err error) {
	t, err := parseURL(url)
	if err != nil {
		return 0, 0, err
	}
	if from, to, err = migrate(ctx, t); err != nil {
		return from, to, fmt.Errorf("migrate %s: %w", t, translate(err))
	}
	return from, to, nil
}

func migrate(ctx context.Context, t target) (from, to int64, err error) {
	if to, err = latestVersion(t.dialect()); err != nil {
		return 0, 0, err
	}
	if err := t.check(migrator); err != nil {
		return 0, to, err
	}
	leave, err := alone(ctx, t)
	if err != nil {
		return 0, to, err
	}
	defer leave()
	db, err := t.open(migrator)
	if err != nil {
		return 0, to, err
	}
	defer db.Close()
	if from, err = schemaVersion(ctx, db, t.dialect()); err != nil {
		return from, to, err
	}
	return from, to, migrateFrom(ctx, db, t.dialect(), from, to)
}

// alone waits until nobody else migrates, where goose does not: on PostgreSQL it takes turns by an advisory lock. Two that
// make the same SQLite file would also meet in its change to a write-ahead log, where SQLite does not wait.
func alone(ctx context.Context, t target) (leave func(), err error) {
	file, ok := t.(sqliteFile)
	if !ok {
		return func() {}, nil
	}
	q := openQueue(string(file))
	unlock, err := q.migrate(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for others that migrate: %w", err), q.close())
	}
	return func() {
		unlock()
		_ = q.close() // nothing was written to it
	}, nil
}

// migrateFrom tries again as long as the version moves: then another process did meanwhile what failed here, where there
// can be no lock.
func migrateFrom(ctx context.Context, db *sql.DB, d Dialect, from, to int64) error {
	for {
		switch {
		case from > to:
			return newerError(from, to)
		case from == to:
			return nil
		}
		provider, err := newProvider(d, db)
		if err != nil {
			return err
		}
		_, failure := provider.Up(ctx)
		now, err := schemaVersion(ctx, db, d)
		switch {
		case err != nil:
			return errors.Join(failure, err)
		case failure != nil && now == from:
			return failure
		}
		from = now
	}
}

func newProvider(d Dialect, db *sql.DB) (*goose.Provider, error) {
	fsys, err := fs.Sub(migrations, path.Join("migrations", string(d)))
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{
		goose.WithTableName(versionTable),
		goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()),
	}
	if d == Postgres {
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(gooseDialect(d), db, fsys, options...)
}

func gooseDialect(d Dialect) goose.Dialect {
	if d == Postgres {
		return goose.DialectPostgres
	}
	return goose.DialectSQLite3
}

// latestVersion is that of the last embedded migration.
func latestVersion(d Dialect) (int64, error) {
	entries, err := fs.ReadDir(migrations, path.Join("migrations", string(d)))
	if err != nil {
		return 0, err
	}
	number, _, _ := strings.Cut(entries[len(entries)-1].Name(), "_") // sorted
	return strconv.ParseInt(number, 10, 64)
}

// schemaVersion is what the database says of itself, 0 when it is empty. It writes nothing.
func schemaVersion(ctx context.Context, db *sql.DB, d Dialect) (version int64, err error) {
	exists := "select count(*) from sqlite_schema where name = $1"
	if d == Postgres {
		exists = "select count(to_regclass($1))"
	}
	var tables int
	if err := db.QueryRowContext(ctx, exists, versionTable).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "select coalesce(max(version_id), 0) from "+versionTable).Scan(&version)
	return version, err
}

// checkSchema refuses what this program was not made for.
func checkSchema(ctx context.Context, db *sql.DB, d Dialect) error {
	known, err := latestVersion(d)
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db, d)
	switch {
	case err != nil:
		return translate(err)
	case version > known:
		return newerError(version, known)
	case version < known:
		return fmt.Errorf("%w: it has version %d, the program needs %d; run `annexfs migrate`", ErrSchemaOlder, version, known)
	}
	return nil
}

func newerError(version, known int64) error {
	return fmt.Errorf("%w: it has version %d, the program knows %d; use a newer annexfs", ErrSchemaNewer, version, known)
}
