package metadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

const (
	// attempts bounds how often a transaction that lost against another is begun. (For the lock of SQLite each of them
	// waits up to its busy_timeout.)
	attempts = 10
	// commitTimeout bounds a COMMIT, which the caller's context no longer ends.
	commitTimeout = 30 * time.Second
)

// Tx is a transaction that may write, or the snapshot of [DB.View]. It is for one goroutine. After a statement has
// failed, other than by finding no row, the transaction cannot be saved: every further statement and the commit fail
// with the same error (as in PostgreSQL; here in SQLite too). Use "on conflict" where a failure is expected.
type Tx struct {
	db      *DB
	conn    *sql.Conn
	tx      statements
	changes []Change
	err     error  // the first failure
	kept    func() // ends a promise, nil where there is none
}

// Update runs fn in a transaction and commits it unless fn fails. On SQLite it begins IMMEDIATE, so that it is the only
// one that writes; on PostgreSQL it is READ COMMITTED, and rows that fn reads in order to change them are to be locked
// ([Tx.ForUpdate]). Where the database made it lose against another transaction, it is rolled back and fn called again:
// fn must have no effect but through tx, and not call Update itself. Once the commit has begun, ctx does not end it; an
// error of the commit itself ("commit: …") may leave open whether it took place.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	for n := 1; ; n++ {
		head, err := db.update(ctx, fn)
		if err == nil {
			db.pruneAfter(ctx, head)
			return nil
		}
		if n == attempts || !retriable(err) {
			return translate(err)
		}
		if err := sleep(ctx, rand.N(time.Millisecond<<n)); err != nil {
			return err
		}
	}
}

// update is one attempt. It returns the number under which changes were recorded, or 0.
func (db *DB) update(ctx context.Context, fn func(*Tx) error) (head int64, err error) {
	conn, err := db.writers.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	leave, err := db.queue.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	begin := beginServer
	if db.Dialect() == SQLite {
		begin = beginEmbedded
	}
	sqlTx, err := begin(ctx, conn)
	if lost(err) {
		err = fmt.Errorf("%w: %w", errNotBegun, err)
	}
	if err != nil {
		return 0, cause(ctx, err)
	}
	defer sqlTx.rollback()
	tx := &Tx{db: db, conn: conn, tx: sqlTx}
	defer func() {
		if tx.kept != nil {
			tx.kept()
		}
	}()
	if err := fn(tx); err != nil {
		if retriable(tx.err) {
			err = tx.err // whatever fn made of it
		}
		return 0, cause(ctx, err)
	}
	if head, err = tx.writeChanges(ctx); err != nil {
		return 0, cause(ctx, err)
	}
	if tx.err != nil {
		return 0, tx.err
	}
	return head, sqlTx.commit(ctx)
}

// cause makes sure that the failure of a statement that ctx ended can be told from others.
func cause(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), err)
}

// note remembers a failure, after which the transaction cannot be committed, and returns it. Nil is no transaction.
func (tx *Tx) note(err error) error {
	if tx != nil && tx.err == nil && err != nil && !errors.Is(err, fs.ErrNotExist) {
		tx.err = err
	}
	return err
}

// Err is the first failure of a statement, which the commit will fail with.
func (tx *Tx) Err() error { return tx.err }

// Exec runs a statement that gives no rows and says how many it changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error) {
	if tx.err != nil {
		return 0, tx.err
	}
	tx.db.queries.Add(1)
	result, err := tx.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, tx.note(translate(err))
	}
	return result.RowsAffected()
}

// Query is as in [Queryer].
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	tx.db.queries.Add(1)
	rows, err := tx.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, tx.note(translate(err))
	}
	return &Rows{rows: rows, tx: tx}, nil
}

// QueryRow is as in [Queryer].
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	if tx.err != nil {
		return &Row{err: tx.err}
	}
	tx.db.queries.Add(1)
	return &Row{row: tx.tx.QueryRowContext(ctx, query, args...), tx: tx}
}

// ForUpdate is what a SELECT must end in to lock the rows it gives until the transaction's end: " FOR UPDATE" on
// PostgreSQL, nothing on SQLite, where nobody else writes meanwhile.
func (tx *Tx) ForUpdate() string {
	if tx.db.Dialect() == Postgres {
		return " FOR UPDATE"
	}
	return ""
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
