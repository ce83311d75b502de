package metadb

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Numbers of the advisory lock that a promise is on PostgreSQL.
const (
	promiseClass  = 0x616e6e78
	promiseObject = 1
)

const (
	embeddedPace = time.Millisecond     // at which who waits looks again
	serverPace   = 2 * time.Millisecond // likewise; it is a query each time
)

// Promise says that somebody is told of what the transaction writes before it is committed: who calls [DB.Await] from
// then on waits for the transaction's end.
func (tx *Tx) Promise(ctx context.Context) error {
	if tx.db.Dialect() == Postgres {
		_, err := tx.Exec(ctx, "select pg_advisory_xact_lock_shared($1, $2)", promiseClass, promiseObject)
		return err
	}
	if tx.kept == nil {
		tx.kept = tx.db.queue.promise()
	}
	return nil
}

// Await waits for the transactions that have made a promise, and no others, to end, so that what anybody was told of is
// seen from now on. It waits no longer than patience, which is no error; later ones are not waited for.
func (db *DB) Await(ctx context.Context, patience time.Duration) error {
	promises, pace := db.queue.promises, embeddedPace
	if db.Dialect() == Postgres {
		promises, pace = db.promises, serverPace
	}
	open, err := promises(ctx)
	for deadline := time.Now().Add(patience); err == nil && len(open) > 0 && time.Now().Before(deadline); {
		if err := sleep(ctx, pace); err != nil {
			return err
		}
		var now []string
		now, err = promises(ctx)
		open = slices.DeleteFunc(open, func(p string) bool { return !slices.Contains(now, p) })
	}
	return err
}

// promises are the transactions of the server that have made one.
func (db *DB) promises(ctx context.Context) ([]string, error) {
	rows, err := db.Query(ctx, `select virtualtransaction from pg_locks where locktype = 'advisory' and granted
		and database = (select oid from pg_database where datname = current_database())
		and classid = $1 and objid = $2 and objsubid = 2`, promiseClass, promiseObject)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var p string
		if err := rows.Scan(&p); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, rows.Err()
}

// promiseNumber is where in the file of the queue the number of the last promise stands.
const promiseNumber = 8

// promise is for who has the turn, until kept is called. Where it fails nobody waits.
func (q queue) promise() (kept func()) {
	if q.file == nil || q.lock(promised, unix.F_OFD_SETLK) != nil {
		return func() {}
	}
	number := binary.LittleEndian.AppendUint64(nil, q.lastPromise()+1)
	_, _ = q.file.WriteAt(number, promiseNumber)
	return func() { q.unlock(promised) }
}

func (q queue) lastPromise() uint64 {
	var number [8]byte
	_, _ = q.file.ReadAt(number[:], promiseNumber) // none yet is number 0
	return binary.LittleEndian.Uint64(number[:])
}

// promises is the promise of another process, or another DB of this one, if there is one. The number is read first: a
// promise whose number is not there yet was made after that.
func (q queue) promises(context.Context) ([]string, error) {
	if q.file == nil {
		return nil, nil
	}
	number := binary.LittleEndian.AppendUint64(nil, q.lastPromise())
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: promised, Len: 1}
	if err := q.fcntl(unix.F_OFD_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
		return nil, err
	}
	return []string{string(number)}, nil
}
