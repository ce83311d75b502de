package metadb_test

import (
	"errors"
	"testing"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// TestAwait holds that only transactions that have made a promise are waited for, to their end and not those after them, and
// no longer than one's patience lasts.
func TestAwait(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		writes, reads := open(t, url), open(t, url)
		await := func(patience time.Duration) time.Duration {
			t.Helper()
			begin := time.Now()
			if err := reads.Await(t.Context(), patience); err != nil {
				t.Fatal(err)
			}
			return time.Since(begin)
		}
		const long = time.Minute
		await(long)
		err := writes.Update(t.Context(), func(tx *metadb.Tx) error {
			if took := await(long); took > long/2 {
				t.Errorf("waited %v for a transaction without a promise", took)
			}
			if err := tx.Promise(t.Context()); err != nil {
				return err
			}
			const patience = 50 * time.Millisecond
			if took := await(patience); took < patience {
				t.Errorf("waited %v for a promise that is not kept yet", took)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		await(long)

		const turns, patience = 5, 5 * time.Second
		for turn := 1; ; turn++ {
			promised, next, done := make(chan struct{}), make(chan struct{}), make(chan error, 2)
			go func() {
				done <- promising(t, writes, func() { close(promised); time.Sleep(20 * time.Millisecond) })
				done <- promising(t, writes, func() { <-next })
			}()
			<-promised
			took := await(patience)
			close(next)
			if err := errors.Join(<-done, <-done); err != nil {
				t.Fatal(err)
			}
			if took < patience { // else it may have begun to wait too late
				break
			}
			if turn == turns {
				t.Fatal("a transaction that began later was waited for")
			}
		}
	})
}

func promising(t *testing.T, db *metadb.DB, fn func()) error {
	return db.Update(t.Context(), func(tx *metadb.Tx) error {
		if err := tx.Promise(t.Context()); err != nil {
			return err
		}
		fn()
		return nil
	})
}
