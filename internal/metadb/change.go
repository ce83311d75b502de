package metadb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ChangeKind says what a [Change] is about.
type ChangeKind string

const (
	// ChangeLink and ChangeUnlink: the dataset was linked to Hash, or no longer is.
	ChangeLink   ChangeKind = "link"
	ChangeUnlink ChangeKind = "unlink"
	// ChangeTag: the tag Version ("latest" and "dev" too) was set, moved or deleted.
	ChangeTag ChangeKind = "tag"
	// ChangeActivate: LocationID is the active revision of the table now, 0 none.
	ChangeActivate ChangeKind = "activate"
	// ChangeFiles: files with ids from FirstFile to LastFile were added to the revision LocationID.
	ChangeFiles ChangeKind = "files"
	// ChangeReset comes from [DB.Watch] only: what changed can no longer be told. Whatever was remembered is to be
	// dropped.
	ChangeReset ChangeKind = "reset"
)

// Change is one thing that a transaction changed. Which fields are set depends on Kind.
type Change struct {
	// Seq is the number of the transaction: 1 more than that of the transaction with changes that was committed
	// before. It is given by the database; [Tx.Record] ignores it.
	Seq                  int64
	Kind                 ChangeKind
	Namespace, Name      string // of the dataset
	Hash, Version, Table string
	LocationID           int64
	FirstFile, LastFile  int64
}

const (
	// keepChanges is how long changes are kept: a follower that was away for longer is reset.
	keepChanges = 7 * 24 * time.Hour
	// pruneEvery is after how many numbers old changes are deleted.
	pruneEvery = 1000
)

func changeColumns() []string {
	return []string{"seq", "n", "kind", "namespace", "name", "hash", "version", "table_name", "location_id", "first_file",
		"last_file", "created_at"}
}

// Record tells followers what this transaction changes. It is written when fn has returned, as the last statements of
// the transaction: the row that counts is locked until the commit, so numbers are given in the order of commits and a
// transaction that fails uses none. Followers are woken once per transaction.
func (tx *Tx) Record(changes ...Change) { tx.changes = append(tx.changes, changes...) }

// writeChanges returns the number that it wrote, or 0 when nothing was recorded.
func (tx *Tx) writeChanges(ctx context.Context) (head int64, err error) {
	if len(tx.changes) == 0 || tx.err != nil {
		return 0, nil //nolint:nilerr // tx.err ends the transaction by itself
	}
	err = tx.tx.QueryRowContext(ctx, "update change_head set seq = seq + 1 where one returning seq").Scan(&head)
	if err != nil {
		return 0, fmt.Errorf("count changes: %w", err)
	}
	now := Micros(time.Now())
	rows := func(yield func([]any) bool) {
		for n, c := range tx.changes {
			if !yield([]any{head, n, string(c.Kind), c.Namespace, c.Name, c.Hash, c.Version, c.Table,
				c.LocationID, c.FirstFile, c.LastFile, now}) {
				return
			}
		}
	}
	if _, err := tx.insertValues(ctx, "changes", changeColumns(), rows); err != nil {
		return 0, fmt.Errorf("record changes: %w", err)
	}
	if tx.db.Dialect() == Postgres {
		_, err = tx.tx.ExecContext(ctx, "select pg_notify($1, $2)", channel, strconv.FormatInt(head, 10))
	}
	return head, err
}

// Head is the number of the last transaction with changes, 0 when there was none: the version of everything that
// changes are recorded for.
func (db *DB) Head(ctx context.Context) (int64, error) {
	var seq int64
	err := db.QueryRow(ctx, "select seq from change_head").Scan(&seq)
	return seq, err
}

// PruneChanges deletes the changes recorded before the given time and all with smaller numbers. [DB.Update] does it by
// itself now and then.
func (db *DB) PruneChanges(ctx context.Context, before time.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.tx.ExecContext(ctx,
			"delete from changes where seq <= (select max(seq) from changes where created_at < $1)", Micros(before))
		return tx.note(translate(err))
	})
}

// pruneAfter is called with the number of a transaction that was just committed, or 0.
func (db *DB) pruneAfter(ctx context.Context, head int64) {
	if head == 0 || head%pruneEvery != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := db.PruneChanges(ctx, time.Now().Add(-keepChanges)); err != nil {
		db.log.Warn("old changes were not deleted", "error", err)
	}
}

// window is how many transactions a follower reads at once.
const window = 1000

// readChanges returns the changes of up to window transactions after the given number, and the head at that moment, by
// one statement and so from one snapshot.
func readChanges(ctx context.Context, conn *sql.Conn, after int64) (head int64, changes []Change, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	rows, err := conn.QueryContext(ctx, `
		select h.seq, coalesce(c.seq, 0), coalesce(c.kind, ''), coalesce(c.namespace, ''), coalesce(c.name, ''),
		       coalesce(c.hash, ''), coalesce(c.version, ''), coalesce(c.table_name, ''),
		       coalesce(c.location_id, 0), coalesce(c.first_file, 0), coalesce(c.last_file, 0)
		from change_head h left join changes c on c.seq > $1 and c.seq <= $2
		order by c.seq, c.n`, after, after+window)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Change
		err := rows.Scan(&head, &c.Seq, &c.Kind, &c.Namespace, &c.Name, &c.Hash, &c.Version, &c.Table,
			&c.LocationID, &c.FirstFile, &c.LastFile)
		if err != nil {
			return 0, nil, err
		}
		changes = append(changes, c)
	}
	// Without changes there is one row, of the head only.
	changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Seq == 0 })
	return head, changes, rows.Err()
}
