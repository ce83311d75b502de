package metadb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

// maxStatements bounds the prepared statements of one connection.
const maxStatements = 200

// preparing keeps the statements of SQLite's connections prepared: to parse one again takes longer than to run most.
type preparing struct{ driver.Connector }

// Connect opens a connection.
func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's connection is a %T", c), c.Close())
	}
	return &preparedConn{sqliteConn: full, kept: map[string]*keptStatement{}}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

// preparedConn is a connection; like all of them it is for one goroutine at a time.
type preparedConn struct {
	sqliteConn
	kept map[string]*keptStatement
}

type keptStatement struct {
	stmt interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	busy bool // its rows are being read
}

// prepared returns the kept statement, nil where it is in use.
func (c *preparedConn) prepared(ctx context.Context, query string) (*keptStatement, error) {
	if k := c.kept[query]; k != nil {
		if k.busy {
			return nil, nil
		}
		return k, nil
	}
	if len(c.kept) >= maxStatements {
		if err := c.drop(); err != nil {
			return nil, err
		}
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	k := &keptStatement{}
	var ok bool
	if k.stmt, ok = stmt.(interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}); !ok {
		return nil, errors.Join(fmt.Errorf("the driver's statement is a %T", stmt), stmt.Close())
	}
	c.kept[query] = k
	return k, nil
}

// drop closes the statements that are not in use.
func (c *preparedConn) drop() error {
	var errs []error
	for query, k := range c.kept {
		if !k.busy {
			delete(c.kept, query)
			errs = append(errs, k.stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// ExecContext runs a statement without rows.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	k, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	return k.stmt.ExecContext(ctx, args)
}

// QueryContext runs a statement with rows.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	k, err := c.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := k.stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	k.busy = true
	return &keptRows{rows, k}, nil
}

// Close closes the connection with its statements.
func (c *preparedConn) Close() error {
	return errors.Join(c.drop(), c.sqliteConn.Close())
}

// keptRows are rows of a kept statement.
type keptRows struct {
	driver.Rows
	of *keptStatement
}

// Close makes the statement free for the next.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	r.of.busy = false
	return err
}
