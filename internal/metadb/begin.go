package metadb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"
)

// statements are sent within a transaction or a snapshot.
type statements interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// transaction is one that writes.
type transaction interface {
	statements
	commit(ctx context.Context) error // ctx ends it only before it has begun
	rollback()                        // does nothing after a commit
}

// serverTx is a transaction on PostgreSQL.
type serverTx struct {
	*sql.Tx
	stop   func() bool // keeps the caller's context from ending it
	cancel func()
}

// beginServer begins a transaction that ctx ends until its commit begins; then only the timeout does.
func beginServer(ctx context.Context, conn *sql.Conn) (transaction, error) {
	txCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	tx, err := conn.BeginTx(txCtx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		stop()
		cancel()
		return nil, err
	}
	return &serverTx{tx, stop, cancel}, nil
}

func (tx *serverTx) commit(ctx context.Context) error {
	if !tx.stop() {
		return ctx.Err()
	}
	defer time.AfterFunc(commitTimeout, tx.cancel).Stop()
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (tx *serverTx) rollback() {
	_ = tx.Rollback()
	tx.stop()
	tx.cancel()
}

// embeddedTx is a transaction on SQLite. Its statements are short, and ctx is looked at between them: for each that it
// could end, database/sql and the driver would start a goroutine, which takes longer than most statements.
type embeddedTx struct {
	conn  *sql.Conn
	ended bool
}

func beginEmbedded(ctx context.Context, conn *sql.Conn) (transaction, error) {
	if _, err := conn.ExecContext(ctx, "begin immediate"); err != nil {
		return nil, err
	}
	return &embeddedTx{conn: conn}, nil
}

// ExecContext is as that of sql.Tx, but that ctx does not end a statement that has begun.
func (tx *embeddedTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return tx.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
}

// QueryContext is likewise.
func (tx *embeddedTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return tx.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
}

// QueryRowContext is likewise.
func (tx *embeddedTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return tx.conn.QueryRowContext(ctx, query, args...)
}

func (tx *embeddedTx) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := tx.conn.ExecContext(context.WithoutCancel(ctx), "commit"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	tx.ended = true
	return nil
}

func (tx *embeddedTx) rollback() {
	if tx.ended {
		return
	}
	if _, err := tx.conn.ExecContext(context.Background(), "rollback"); err != nil {
		// SQLite may have done it by itself; in any case nobody else gets this connection.
		_ = tx.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}
