package metadb

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Insert writes many rows into the given columns of table, in the order of rows, and says how many: by COPY on
// PostgreSQL, by statements of many rows on SQLite. Values are of the types that database/sql drivers take, without
// conversion by the database: an int64 for a bigint, a string for a text. It counts as one statement. It keeps no more
// than a few hundred rows in memory; the slices that rows yields are not used after the next one is asked for.
func (tx *Tx) Insert(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (int64, error) {
	if tx.err != nil {
		return 0, tx.err
	}
	tx.db.queries.Add(1)
	insert := tx.insertValues
	if tx.db.Dialect() == Postgres {
		insert = tx.copyFrom
	}
	n, err := insert(ctx, table, columns, rows)
	return n, tx.note(translate(err))
}

// InsertOne writes one row, as Insert does, and gives the id that it got.
func (tx *Tx) InsertOne(ctx context.Context, table string, columns []string, row []any) (id int64, err error) {
	err = tx.QueryRow(ctx, tx.insertStatement(table, columns, 1)+" returning id", row...).Scan(&id)
	return id, err
}

// Reserve gives ids for rows that are inserted with them later in the transaction, and before any row without.
func (tx *Tx) Reserve(ctx context.Context, table string, n int) ([]int64, error) {
	ids := make([]int64, n)
	if tx.db.Dialect() == SQLite {
		var last int64
		if err := tx.QueryRow(ctx, "select seq from sqlite_sequence where name = $1", table).Scan(&last); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for i := range ids {
			ids[i] = last + 1 + int64(i)
		}
		return ids, nil
	}
	rows, err := tx.Query(ctx, "select nextval(pg_get_serial_sequence($1, 'id')) from generate_series(1, $2)", table, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for i := 0; rows.Next(); i++ {
		if err := rows.Scan(&ids[i]); err != nil {
			return nil, err
		}
	}
	return ids, rows.Err()
}

func (tx *Tx) copyFrom(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (n int64, err error) {
	next, stop := iter.Pull(rows)
	defer stop()
	source := pgx.CopyFromFunc(func() ([]any, error) {
		row, _ := next() // nil at the end
		return row, nil
	})
	err = withPgx(tx.conn, func(conn *pgx.Conn) error {
		n, err = conn.CopyFrom(ctx, pgx.Identifier{table}, columns, source)
		return err
	})
	return n, err
}

// rowsPerStatement is where more rows bring no more speed; with 12 columns it is far from the limit of parameters.
const rowsPerStatement = 100

// insertValues collects the parameters of many rows into each statement.
func (tx *Tx) insertValues(ctx context.Context, table string, columns []string, rows iter.Seq[[]any]) (total int64, err error) {
	var args []any
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		if _, err := tx.tx.ExecContext(ctx, tx.insertStatement(table, columns, n), args...); err != nil {
			return err
		}
		total += int64(n)
		args, n = args[:0], 0
		return nil
	}
	for row := range rows {
		args = append(args, row...)
		if n++; n == rowsPerStatement {
			if err := flush(); err != nil {
				return total, err
			}
		}
	}
	return total, flush()
}

// insertStatement writes ? for SQLite, which takes $1 and ?1 for names and searches them one after the other for each
// value: with thousands that takes far longer than the insert.
func (tx *Tx) insertStatement(table string, columns []string, rows int) string {
	var b strings.Builder
	b.WriteString("insert into " + table + " (" + strings.Join(columns, ", ") + ") values ")
	for i := range rows * len(columns) {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%len(columns) == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		if tx.db.Dialect() == Postgres {
			b.WriteString("$" + strconv.Itoa(i+1))
		} else {
			b.WriteString("?")
		}
	}
	b.WriteString(")")
	return b.String()
}
