package metadb_test

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

const (
	insertDataset = "insert into datasets (namespace, name, created_at) values ('ns', $1, 1)"
	// perWriter is how many transactions each writer of a test makes.
	perWriter = 40
)

// countUp adds 1 to a row n times, by reading it and writing what was read plus 1, and records each.
func countUp(ctx context.Context, db *metadb.DB, n int) error {
	for range n {
		err := db.Update(ctx, func(tx *metadb.Tx) error {
			var links int64
			err := tx.QueryRow(ctx, "select links from datasets where namespace = 'ns' and name = 'counter'"+
				tx.ForUpdate()).Scan(&links)
			if err != nil {
				return err
			}
			tx.Record(metadb.Change{Kind: metadb.ChangeLink, Namespace: "ns", Name: "counter", LocationID: links + 1})
			_, err = tx.Exec(ctx, "update datasets set links = $1 where namespace = 'ns' and name = 'counter'", links+1)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Goroutines of this process and two other processes count together; no count is lost, and a follower sees each.
func TestUpdate_ManyWriters(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		mustExec(t, db, insertDataset, "counter")
		waits := []func(){startChild(t, "count", url), startChild(t, "count", url)}
		var writers errgroup.Group
		for range 8 {
			writers.Go(func() error { return countUp(t.Context(), db, perWriter) })
		}
		if err := writers.Wait(); err != nil {
			t.Error(err)
		}
		for _, wait := range waits {
			wait()
		}
		const want = 10 * perWriter
		if got := number(t, db, "select links from datasets where name = 'counter'"); got != want {
			t.Errorf("counted to %d, want %d", got, want)
		}
		// The numbers of changes are given in the order of commits: the n-th saw the count n.
		if n := number(t, db, "select count(*) from changes where seq = location_id"); n != want {
			t.Errorf("%d changes are numbered in the order of commits, want %d", n, want)
		}
	})
}

func TestUpdate_RollsBack(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		want := errors.New("changed my mind")
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			if _, err := tx.Exec(t.Context(), insertDataset, "a"); err != nil {
				return err
			}
			tx.Record(metadb.Change{Kind: metadb.ChangeLink})
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("got %v, want the function's error", err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = db.Update(t.Context(), func(tx *metadb.Tx) error {
				_, _ = tx.Exec(t.Context(), insertDataset, "b")
				panic("bug")
			})
		}()
		checkEmpty(t, db)
		if err := execOne(t, db, insertDataset, "c"); err != nil {
			t.Errorf("afterwards nobody can write: %v", err)
		}
	})
}

// checkEmpty shows that failed transactions left neither rows nor a number.
func checkEmpty(t *testing.T, db *metadb.DB) {
	t.Helper()
	for _, query := range []string{
		"select count(*) from datasets", "select count(*) from changes", "select seq from change_head",
	} {
		if n := number(t, db, query); n != 0 {
			t.Errorf("%s: got %d, want 0", query, n)
		}
	}
}

// What failed cannot be committed, even where the function takes no notice.
func TestUpdate_FailureIsKept(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			tx.Record(metadb.Change{Kind: metadb.ChangeLink})
			for range 2 {
				_, _ = tx.Exec(t.Context(), insertDataset, "a")
			}
			if _, err := tx.Query(t.Context(), "select 1"); !errors.Is(err, fs.ErrExist) {
				t.Errorf("Query after a failure: %v, want the failure", err)
			}
			var n int
			if err := tx.QueryRow(t.Context(), "select 1").Scan(&n); !errors.Is(err, fs.ErrExist) {
				t.Errorf("QueryRow after a failure: %v, want the failure", err)
			}
			return nil
		})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("got %v, want fs.ErrExist", err)
		}
		checkEmpty(t, db)
	})
}

func TestUpdate_NoRowIsNoFailure(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			var id int64
			err := tx.QueryRow(t.Context(), "select id from datasets where name = 'a'").Scan(&id)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
			n, err := tx.Exec(t.Context(), insertDataset+" on conflict do nothing", "a")
			if n != 1 || err != nil {
				t.Errorf("first insert: %d rows, %v; want 1", n, err)
			}
			n, err = tx.Exec(t.Context(), insertDataset+" on conflict do nothing", "a")
			if n != 0 || err != nil {
				t.Errorf("second insert: %d rows, %v; want 0", n, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if n := number(t, db, "select count(*) from datasets"); n != 1 {
			t.Errorf("%d datasets, want 1", n)
		}
	})
}

// A second transaction waits for the first one's row, and stops waiting when its context ends. Readers do not wait.
func TestUpdate_RowLock(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db, other := open(t, url), open(t, url)
		mustExec(t, db, insertDataset, "counter")
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			var links int64
			err := tx.QueryRow(t.Context(), "select links from datasets where name = 'counter'"+tx.ForUpdate()).Scan(&links)
			if err != nil {
				return err
			}
			for _, waiting := range []*metadb.DB{db, other} {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				begun := time.Now()
				err := countUp(ctx, waiting, 1)
				cancel()
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v while the row is locked, want context.DeadlineExceeded", err)
				}
				if waited := time.Since(begun); waited > 5*time.Second {
					t.Errorf("waited %v after the context's end", waited)
				}
			}
			if n := number(t, other, "select links from datasets where name = 'counter'"); n != 0 {
				t.Errorf("a reader saw %d, want 0", n)
			}
			_, err = tx.Exec(t.Context(), "update datasets set links = 5 where name = 'counter'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := countUp(t.Context(), other, 1); err != nil {
			t.Error(err)
		}
		if n := number(t, db, "select links from datasets where name = 'counter'"); n != 6 {
			t.Errorf("got %d, want 6", n)
		}
	})
}

func TestUpdate_Canceled(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *metadb.Tx) error {
			_, err := tx.Exec(ctx, insertDataset, "a")
			cancel()
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before the commit: got %v, want context.Canceled", err)
		}
		err = db.Update(ctx, func(*metadb.Tx) error {
			t.Error("the function ran in a canceled context")
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		checkEmpty(t, db)
	})
}

// Two transactions that lock two rows in opposite order: PostgreSQL ends one of them, and it is run again.
func TestUpdate_Deadlock(t *testing.T) {
	db := open(t, metadbtest.Postgres(t))
	mustExec(t, db, insertDataset, "a")
	mustExec(t, db, insertDataset, "b")
	var mu sync.Mutex
	attempts := 0
	var locked sync.WaitGroup
	locked.Add(2)
	const addOne = "update datasets set links = links + 1 where name = $1"
	swap := func(first, second string) error {
		var once sync.Once
		return db.Update(t.Context(), func(tx *metadb.Tx) error {
			mu.Lock()
			attempts++
			mu.Unlock()
			if _, err := tx.Exec(t.Context(), addOne, first); err != nil {
				return err
			}
			once.Do(func() { locked.Done(); locked.Wait() })
			if _, err := tx.Exec(t.Context(), addOne, second); err != nil {
				return errors.New("an error that does not tell why")
			}
			return nil
		})
	}
	var writers errgroup.Group
	writers.Go(func() error { return swap("a", "b") })
	writers.Go(func() error { return swap("b", "a") })
	if err := writers.Wait(); err != nil {
		t.Error(err)
	}
	if attempts < 3 {
		t.Errorf("%d attempts, want at least 3", attempts)
	}
	if n := number(t, db, "select sum(links)::bigint from datasets"); n != 4 {
		t.Errorf("counted to %d, want 4", n)
	}
}

func TestUpdate_GivesUp(t *testing.T) {
	db := open(t, metadbtest.Postgres(t))
	attempts := 0
	err := db.Update(t.Context(), func(tx *metadb.Tx) error {
		attempts++
		_, err := tx.Exec(t.Context(), "do $$ begin raise exception 'always' using errcode = '40001'; end $$")
		return err
	})
	if err == nil || attempts != 10 {
		t.Errorf("got %v after %d attempts, want an error after 10", err, attempts)
	}
}
