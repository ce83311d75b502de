package metadb

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// sqliteFile is the absolute path of a SQLite database.
type sqliteFile string

// sqlitePoll is how long a change by another connection may stay unseen. One poll costs some 10 us.
const sqlitePoll = 200 * time.Millisecond

func (sqliteFile) dialect() Dialect { return SQLite }

func (f sqliteFile) String() string { return "sqlite:" + string(f) }

func (f sqliteFile) check(r role) error {
	path := string(f)
	if r == migrator {
		path = filepath.Dir(path)
	}
	_, err := os.Stat(path)
	return err
}

// open gives one connection to writers: those of this process queue for it in Go and those of several processes in BEGIN
// IMMEDIATE, for as long as busy_timeout. A transaction that read first and then wrote would fail at once instead.
func (f sqliteFile) open(r role) (*sql.DB, error) {
	q := url.Values{
		"mode":          {"rw"},
		"_busy_timeout": {"10000"},
		"_foreign_keys": {"1"},
		"_synchronous":  {"FULL"},
		"_dqs":          {"0"},
	}
	conns := 1
	switch r {
	case reader:
		q.Set("_query_only", "1")
		conns = poolSize()
	case writer:
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
	case migrator:
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
		q.Set("mode", "rwc")
	}
	dsn := url.URL{Scheme: "file", Path: string(f), RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	if r != migrator { // which runs each statement once
		connector = preparing{connector}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// listen watches data_version, a number that changes when another connection has committed.
func (f sqliteFile) listen(ctx context.Context) (*listener, error) {
	db, err := f.open(reader)
	if err != nil {
		return nil, err
	}
	l := &listener{db: db}
	if l.conn, err = db.Conn(ctx); err != nil {
		l.close()
		return nil, err
	}
	var seen int64
	look := func(ctx context.Context) (changed bool, err error) {
		before := seen
		err = l.conn.QueryRowContext(ctx, "pragma data_version").Scan(&seen)
		return seen != before, err
	}
	l.wait = func(ctx context.Context) (bool, error) {
		if err := sleep(ctx, sqlitePoll); err != nil {
			return false, err
		}
		return look(ctx)
	}
	if _, err := look(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}
