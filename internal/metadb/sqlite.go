package metadb

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"modernc.org/sqlite"
)

// sqliteFile is the absolute path of a SQLite database.
type sqliteFile string

// How long a change by another connection may stay unseen.
const (
	sqlitePoll = 200 * time.Millisecond // where nothing tells that the write-ahead log is written to
	// Where something does: the change itself becomes visible only some time after that, when the log is synced.
	sqliteIdlePoll = 700 * time.Millisecond
	sqliteBusyPoll = 20 * time.Millisecond
	sqliteBusy     = time.Second // how long after a write it is looked for so often
)

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

// listen watches data_version, a number that changes when another connection has committed: now and then, and more often
// after the kernel has told that the write-ahead log is written to.
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
	if _, err := look(ctx); err != nil {
		l.close()
		return nil, err
	}
	pause := func(ctx context.Context) error { return sleep(ctx, sqlitePoll) }
	if w, err := watchFile(string(f) + "-wal"); err == nil { // looking has made it; else there are too many watches
		l.watcher, pause = w, w.pause
	}
	l.wait = func(ctx context.Context) (bool, error) {
		if err := pause(ctx); err != nil {
			return false, err
		}
		return look(ctx)
	}
	return l, nil
}

// logWatcher paces those who wait for a commit.
type logWatcher struct {
	*fsnotify.Watcher
	busyUntil time.Time
}

func watchFile(path string) (*logWatcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(path); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return &logWatcher{Watcher: w}, nil
}

// pause returns when it is time to look. Until then it takes one event at most: the kernel makes one of those that wait.
func (w *logWatcher) pause(ctx context.Context) error {
	if time.Now().Before(w.busyUntil) {
		return sleep(ctx, sqliteBusyPoll)
	}
	idle := time.NewTimer(sqliteIdlePoll)
	defer idle.Stop()
	select {
	case <-w.Events:
		w.busyUntil = time.Now().Add(sqliteBusy)
		return sleep(ctx, sqliteBusyPoll)
	case err := <-w.Errors:
		return err // some events are lost: begin again
	case <-idle.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
