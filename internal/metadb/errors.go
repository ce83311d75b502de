package metadb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/annexfs/annexfs/internal/fault"
)

// translate adds the kind of an error, by which callers tell errors apart, to what the driver says.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fs.ErrNotExist
	}
	kind := kindOf(err)
	if kind == nil || errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// kindOf is nil for an error of no particular kind.
func kindOf(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return postgresKind(pg.Code)
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return sqliteKind(lite.Code())
	}
	return nil
}

func postgresKind(code string) error {
	switch code {
	case "23505": // unique_violation
		return fs.ErrExist
	case "23503": // foreign_key_violation
		return fault.ErrConflict
	case "22021": // character_not_in_repertoire: no UTF-8, or NUL
		return fs.ErrInvalid
	case "25006": // read_only_sql_transaction
		return fault.ErrReadOnly
	case "28000", "28P01", "42501": // not authorized, wrong password, insufficient_privilege
		return fs.ErrPermission
	case "3D000": // no such database
		return fs.ErrNotExist
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return fault.ErrCorrupt
	}
	return nil
}

func sqliteKind(code int) error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return fs.ErrExist
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fault.ErrConflict
	}
	switch code & 0xff { // the primary code
	case sqlite3.SQLITE_READONLY:
		return fault.ErrReadOnly
	case sqlite3.SQLITE_PERM:
		return fs.ErrPermission
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fault.ErrCorrupt
	}
	return nil
}

// errNotBegun marks the loss of a connection on which no transaction had begun yet.
var errNotBegun = errors.New("not begun")

// retriable says whether the same transaction may succeed if it is begun again: it lost against another one, another
// process kept SQLite's lock for long, or it never began.
func retriable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") { // serialization_failure, deadlock_detected
		return true
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY {
		return true
	}
	return errors.Is(err, errNotBegun)
}

// lost says whether a connection that had been good turned out to be dead, as those of a pool are when the server was
// restarted. What only reads can then be sent again through another one.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	if err == nil || errors.As(err, &connect) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57P0") // the server ends the connection
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
