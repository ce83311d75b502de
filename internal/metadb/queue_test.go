package metadb_test

import (
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// TestUpdate_Queue has somebody write all the time, with hardly a gap between his transactions, as another DB on SQLite, as
// which another process would be: who comes for one now and then waits for one or two of his, not for some happy moment.
func TestUpdate_Queue(t *testing.T) {
	url := metadbtest.SQLite(t)
	busy, other := open(t, url), open(t, url)
	mustExec(t, busy, insertDataset, "counter")
	var count atomic.Int64
	var ended atomic.Bool
	var g errgroup.Group
	g.Go(func() error {
		for !ended.Load() {
			if err := busy.Update(t.Context(), func(tx *metadb.Tx) error {
				time.Sleep(10 * time.Millisecond)
				_, err := tx.Exec(t.Context(), "update datasets set links = links + 1 where name = 'counter'")
				return err
			}); err != nil {
				return err
			}
			count.Add(1)
		}
		return nil
	})
	const turns = 20
	before := count.Load()
	for range turns {
		if err := countUp(t.Context(), other, 1); err != nil {
			t.Fatal(err)
		}
	}
	passed := count.Load() - before
	ended.Store(true)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if passed > 10*turns { // without the queue more than a hundred in each
		t.Errorf("%d transactions of another were let by in %d turns, want about one in each", passed, turns)
	}
}
