package metadb

import (
	"context"
	"database/sql"
	"io"
	"math/rand/v2"
	"time"
)

const (
	// answerTimeout bounds a follower's query: a connection that does not answer for so long is given up.
	answerTimeout = 10 * time.Second
	// The pauses before connecting again.
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// listener is a follower's own connection.
type listener struct {
	db   *sql.DB
	conn *sql.Conn
	// wait returns when changes may have been committed, or else (false) when it has heard from the database.
	wait    func(context.Context) (changed bool, err error)
	watcher io.Closer // of wait, nil where there is none
}

func (l *listener) close() {
	if l.conn != nil {
		_ = l.conn.Close() // it was only read from
	}
	_ = l.db.Close()
	if l.watcher != nil {
		_ = l.watcher.Close()
	}
}

// follower is where a Watch is.
type follower struct {
	after int64
	fn    func([]Change)
	heard bool // since the last connection was lost
}

// Watch calls fn, from this goroutine, with the changes of all transactions numbered above after, each once, in the
// order of their numbers and never with only a part of a transaction; and with nil whenever it has heard from the
// database that there are no more (every 0.7 s on SQLite, every 2 s on PostgreSQL, apart from what a slow fn delays).
// Changes come within some 20 ms, on PostgreSQL at once where there were none just before, and on SQLite within 0.7 s where
// the sync of a commit takes long.
// Where changes can no longer be told, because
// they were pruned or the database was replaced by an older one, fn gets one [ChangeReset] with the number from which
// it goes on.
//
// A lost connection is made again for as long as it takes; fn is not called meanwhile. Watch returns when ctx ends,
// with its error. It uses one connection of its own.
func (db *DB) Watch(ctx context.Context, after int64, fn func([]Change)) error {
	f := &follower{after: after, fn: fn, heard: true}
	backoff := minBackoff
	for {
		err := db.follow(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f.heard { // one line for each loss, however many attempts follow
			db.log.Warn("lost the metadata database; changes are not seen", "database", db.target.String(), "error", err)
			f.heard, backoff = false, minBackoff
		}
		if err := sleep(ctx, backoff/2+rand.N(backoff/2)); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// follow works with one connection until it fails.
func (db *DB) follow(ctx context.Context, f *follower) error {
	l, err := db.target.listen(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	for changed := true; ; {
		if changed {
			err = f.catchUp(ctx, l.conn)
		} else {
			f.fn(nil)
		}
		if err != nil {
			return err
		}
		if !f.heard {
			db.log.Info("the metadata database is back", "database", db.target.String())
			f.heard = true
		}
		if changed, err = l.wait(ctx); err != nil {
			return err
		}
	}
}

// catchUp reads until there is nothing more.
func (f *follower) catchUp(ctx context.Context, conn *sql.Conn) error {
	for {
		head, changes, err := readChanges(ctx, conn, f.after)
		if err != nil {
			return err
		}
		if head == f.after {
			f.fn(nil)
			return nil
		}
		if !continues(f.after, changes) {
			changes = []Change{{Seq: head, Kind: ChangeReset}}
		}
		f.after = changes[len(changes)-1].Seq
		f.fn(changes)
		if f.after == head { // as of when they were read
			f.fn(nil)
			return nil
		}
	}
}

// continues says whether changes begin right after the given number and leave out none.
func continues(after int64, changes []Change) bool {
	for _, c := range changes {
		if c.Seq > after+1 {
			return false
		}
		after = c.Seq
	}
	return len(changes) > 0
}
