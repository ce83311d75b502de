// Package metadb owns the metadata database: it opens PostgreSQL or an embedded SQLite file, migrates its schema, runs
// queries and transactions, and tells followers what changed.
//
// Everything above it writes one body of SQL for both databases:
//
//   - Parameters are $1, $2, … in ascending order of their first use, and some dozens at most: SQLite takes them for
//     names and searches them one by one. Many rows go through [Tx.Insert].
//   - Times are microseconds since the epoch ([Micros], [Time]); JSON is text; booleans are boolean.
//   - Text is compared by its bytes in both.
//   - A row that is read in order to be changed is read with [Tx.ForUpdate].
//
// Errors are translated here: no row is [io/fs.ErrNotExist], a violated unique constraint [io/fs.ErrExist], a violated
// foreign key [fault.ErrConflict], a read-only database [fault.ErrReadOnly], a damaged one [fault.ErrCorrupt].
package metadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"
)

// Dialect names the database system.
type Dialect string

// The two database systems.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// Options of [Open]; the zero value works.
type Options struct {
	// Logger hears what no caller can be told: a follower's lost connection, a failed pruning. Nil is silence.
	Logger *slog.Logger
}

// DB is an open metadata database. It is safe for concurrent use by goroutines, and the database behind it by
// processes.
type DB struct {
	target  target
	readers *sql.DB // cannot write
	writers *sql.DB
	queue   queue
	log     *slog.Logger
	queries atomic.Int64
}

// Queryer reads: a [DB] from its pool of readers, a [Tx] inside its transaction, and the argument of [DB.View] in one
// snapshot. Rows must be closed before the next statement of the same transaction or snapshot: it has one connection.
type Queryer interface {
	// Query sends a statement that gives rows. They must be closed.
	Query(ctx context.Context, query string, args ...any) (*Rows, error)
	// QueryRow sends a statement that gives at most one row; its error comes from Scan.
	QueryRow(ctx context.Context, query string, args ...any) *Row
}

var (
	_ Queryer = (*DB)(nil)
	_ Queryer = (*Tx)(nil)
)

// Open opens the database at url, which is "sqlite:" and an absolute path, or a "postgres://" URL as libpq has it.
// It never creates nor migrates: a SQLite file that is not there is fs.ErrNotExist, a schema older than this program is
// [ErrSchemaOlder], a newer one [ErrSchemaNewer]. No error contains the URL's password.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	db, err := openTarget(ctx, t, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", t, err)
	}
	return db, nil
}

func openTarget(ctx context.Context, t target, o Options) (*DB, error) {
	if err := t.check(reader); err != nil {
		return nil, err
	}
	db := &DB{target: t, log: o.Logger}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if db.readers, err = t.open(reader); err != nil {
		return nil, err
	}
	if db.writers, err = t.open(writer); err != nil {
		return nil, errors.Join(err, db.readers.Close())
	}
	if file, ok := t.(sqliteFile); ok {
		db.queue = openQueue(string(file))
	}
	if err := checkSchema(ctx, db.readers, t.dialect()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close waits for statements that run and closes every connection. Transactions and watches must have ended.
func (db *DB) Close() error {
	return errors.Join(db.readers.Close(), db.writers.Close(), db.queue.close())
}

// Dialect says which database system this is.
func (db *DB) Dialect() Dialect { return db.target.dialect() }

// Queries counts the statements that callers have sent through this DB. BEGIN and COMMIT, what [Tx.Record] adds, and the
// polls of [DB.Watch] are not counted.
func (db *DB) Queries() int64 { return db.queries.Load() }

// Query reads from the pool of readers; a statement that writes fails with fault.ErrReadOnly. Open rows hold one of a
// few connections (four, or one for each CPU): to query again for each row, read the rows first or use [DB.View].
func (db *DB) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	db.queries.Add(1)
	var rows *sql.Rows
	err := db.read(func() (err error) {
		rows, err = db.readers.QueryContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return nil, translate(err)
	}
	return &Rows{rows: rows}, nil
}

// QueryRow is as [DB.Query] for at most one row.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *Row {
	db.queries.Add(1)
	row := &Row{}
	row.err = db.read(func() error {
		row.row = db.readers.QueryRowContext(ctx, query, args...)
		return row.row.Err()
	})
	return row
}

// read sends what only reads, again for each connection of the pool that turns out to be dead.
func (db *DB) read(send func() error) error {
	for n := 0; ; n++ {
		if err := send(); n == poolSize() || !lost(err) {
			return err
		}
	}
}

// View calls fn with a Queryer whose statements all see the same state of the database, and which cannot write.
func (db *DB) View(ctx context.Context, fn func(Queryer) error) error {
	var tx *sql.Tx
	err := db.read(func() (err error) {
		tx, err = db.readers.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		return err
	})
	if err != nil {
		return translate(err)
	}
	defer tx.Rollback() // nothing was written
	return fn(&Tx{db: db, tx: tx})
}

// Row is the answer to QueryRow.
type Row struct {
	row *sql.Row
	err error // instead of row
	tx  *Tx   // nil outside a transaction
}

// Scan copies the row's columns; where there is no row, the error is fs.ErrNotExist.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return translate(r.err)
	}
	return r.tx.note(translate(r.row.Scan(dest...)))
}

// Rows is the answer to Query, used as [sql.Rows] is.
type Rows struct {
	rows *sql.Rows
	tx   *Tx // nil outside a transaction
}

// Next prepares the next row and says whether there is one; afterwards Err tells the end from a failure.
func (r *Rows) Next() bool { return r.rows.Next() }

// Scan copies the columns of the current row.
func (r *Rows) Scan(dest ...any) error { return translate(r.rows.Scan(dest...)) }

// Err is the error that ended Next, if any.
func (r *Rows) Err() error { return r.tx.note(translate(r.rows.Err())) }

// Close ends the query; it may be called twice.
func (r *Rows) Close() error { return translate(r.rows.Close()) }

// Micros is t as the database holds it: microseconds since the epoch.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the instant that [Micros] made m from, in UTC.
func Time(m int64) time.Time { return time.UnixMicro(m).UTC() }

// poolSize bounds the connections of a pool of readers.
func poolSize() int { return max(4, runtime.NumCPU()) }
