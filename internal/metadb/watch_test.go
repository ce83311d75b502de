package metadb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

// follower collects what a Watch tells.
type follower struct {
	mu      sync.Mutex
	changes []metadb.Change
	heard   atomic.Int64 // calls, with changes or without
}

func (f *follower) take(changes []metadb.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, changes...)
	f.heard.Add(1)
}

func (f *follower) seen() []metadb.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]metadb.Change(nil), f.changes...)
}

// last is the number of the last change that was seen.
func (f *follower) last() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.changes) == 0 {
		return 0
	}
	return f.changes[len(f.changes)-1].Seq
}

// watch follows db until the test ends.
func watch(t *testing.T, db *metadb.DB, after int64) *follower {
	t.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- db.Watch(ctx, after, f.take) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Watch returned %v, want context.Canceled", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Watch did not return when its context ended")
		}
	})
	eventually(t, "a follower to begin", func() bool { return f.heard.Load() > 0 })
	return f
}

func record(t *testing.T, db *metadb.DB, changes ...metadb.Change) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *metadb.Tx) error {
		tx.Record(changes...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWatch(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		f := watch(t, open(t, url), 0)
		first := []metadb.Change{
			{Kind: metadb.ChangeTag, Namespace: "ns", Name: "name", Hash: "h", Version: "1.0.0"},
			{Kind: metadb.ChangeTag, Namespace: "ns", Name: "name", Hash: "h", Version: "latest"},
		}
		second := metadb.Change{Seq: 77, Kind: metadb.ChangeFiles, Namespace: "ns", Name: "name", Hash: "h",
			Table: "orders", LocationID: 3, FirstFile: 1 << 40, LastFile: 1<<40 + 9}
		record(t, db, first...)
		record(t, db)
		begun := time.Now()
		record(t, db, second)
		eventually(t, "two changes", func() bool { return f.last() == 2 })
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("a change was seen after %v", took)
		}
		first[0].Seq, first[1].Seq, second.Seq = 1, 1, 2
		if diff := cmp.Diff(append(first, second), f.seen()); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		late := watch(t, db, 1)
		if diff := cmp.Diff([]metadb.Change{second}, late.seen()); diff != "" {
			t.Errorf("changes after 1 (-want +got):\n%s", diff)
		}
		if head, err := db.Head(t.Context()); head != 2 || err != nil {
			t.Errorf("Head = %d, %v; want 2", head, err)
		}
		heard := f.heard.Load()
		eventually(t, "being told that nothing happens", func() bool { return f.heard.Load() > heard })
		if n := len(f.seen()); n != 3 {
			t.Errorf("%d changes, want still 3", n)
		}
	})
}

// 16 writers, some of whose transactions fail after they have recorded: a follower sees those that were committed, each
// whole and once, numbered without gaps.
func TestWatch_ManyWriters(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		f := watch(t, open(t, url), 0)
		var committed atomic.Int64
		var writers errgroup.Group
		for w := range 16 {
			writers.Go(func() error {
				for n := range perWriter {
					ok, err := recordSome(t.Context(), db, w, n)
					if err != nil {
						return err
					}
					if ok {
						committed.Add(1)
					}
				}
				return nil
			})
		}
		if err := writers.Wait(); err != nil {
			t.Fatal(err)
		}
		want := committed.Load()
		eventually(t, fmt.Sprintf("%d transactions", want), func() bool { return f.last() >= want })
		checkStream(t, f.seen(), want)
	})
}

// recordSome commits one to three changes that name their writer and transaction, or fails on purpose (not ok).
func recordSome(ctx context.Context, db *metadb.DB, writer, n int) (ok bool, err error) {
	onPurpose := errors.New("on purpose")
	err = db.Update(ctx, func(tx *metadb.Tx) error {
		size := 1 + (writer+n)%3
		for i := range size {
			tx.Record(metadb.Change{Kind: metadb.ChangeLink, Name: fmt.Sprintf("%d/%d", writer, n),
				FirstFile: int64(i), LastFile: int64(size)})
		}
		_, err := tx.Exec(ctx, "insert into datasets (namespace, name, created_at) values ('ns', $1, 1)",
			fmt.Sprintf("%d/%d", writer, n))
		if err == nil && n%10 == 9 {
			return onPurpose
		}
		return err
	})
	if errors.Is(err, onPurpose) {
		return false, nil
	}
	return err == nil, err
}

// checkStream shows that changes are of transactions 1 to want, each whole.
func checkStream(t *testing.T, changes []metadb.Change, want int64) {
	t.Helper()
	names := map[string]bool{}
	var seq int64
	for i := 0; i < len(changes); {
		first := changes[i]
		seq++
		if first.Seq != seq || names[first.Name] {
			t.Fatalf("change %d is of transaction %d (%s, seen before: %t), want %d", i, first.Seq, first.Name,
				names[first.Name], seq)
		}
		names[first.Name] = true
		for n := range first.LastFile {
			if c := changes[i]; c.Seq != seq || c.Name != first.Name || c.FirstFile != n {
				t.Fatalf("change %d is %+v, want number %d of %s", i, c, n, first.Name)
			}
			i++
		}
	}
	if seq != want {
		t.Errorf("%d transactions were seen, want %d", seq, want)
	}
}

// More than is read at once, in one transaction and in many.
func TestWatch_Backlog(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		many := make([]metadb.Change, 2500)
		for i := range many {
			many[i] = metadb.Change{Kind: metadb.ChangeFiles, FirstFile: int64(i)}
		}
		record(t, db, many...)
		// Transactions as others would have made them, without waiting for 2,500 commits.
		err := db.Update(t.Context(), func(tx *metadb.Tx) error {
			if _, err := tx.Exec(t.Context(), "update change_head set seq = 2501"); err != nil {
				return err
			}
			_, err := tx.Insert(t.Context(), "changes", []string{"seq", "n", "kind", "created_at"},
				func(yield func([]any) bool) {
					for seq := int64(2); seq <= 2501 && yield([]any{seq, int64(0), "link", int64(1)}); seq++ {
					}
				})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		f := watch(t, db, 0)
		eventually(t, "the last change", func() bool { return f.last() == 2501 })
		seen := f.seen()
		if len(seen) != 5000 {
			t.Fatalf("%d changes, want 5000", len(seen))
		}
		for i, c := range seen {
			if i < 2500 && (c.Seq != 1 || c.FirstFile != int64(i)) || i >= 2500 && c.Seq != int64(i-2498) {
				t.Fatalf("change %d is %+v", i, c)
			}
		}
	})
}

func TestWatch_Reset(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		change := metadb.Change{Kind: metadb.ChangeLink}
		for range 5 {
			record(t, db, change)
		}
		reset := []metadb.Change{{Seq: 5, Kind: metadb.ChangeReset}}
		if diff := cmp.Diff(reset, watch(t, db, 9).seen()); diff != "" {
			t.Errorf("a follower of a database that is newer than this (-want +got):\n%s", diff)
		}
		mustExec(t, db, "update changes set created_at = seq")
		if err := db.PruneChanges(t.Context(), metadb.Time(4)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(reset, watch(t, db, 0).seen()); diff != "" {
			t.Errorf("a follower behind what was pruned (-want +got):\n%s", diff)
		}
		kept := []metadb.Change{{Seq: 4, Kind: change.Kind}, {Seq: 5, Kind: change.Kind}}
		if diff := cmp.Diff(kept, watch(t, db, 3).seen()); diff != "" {
			t.Errorf("a follower of what was kept (-want +got):\n%s", diff)
		}
		if err := db.PruneChanges(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		f := watch(t, db, 4)
		record(t, db, change)
		eventually(t, "a change after a reset", func() bool { return f.last() == 6 })
		if diff := cmp.Diff(append(reset, metadb.Change{Seq: 6, Kind: change.Kind}), f.seen()); diff != "" {
			t.Errorf("a follower when nothing is kept (-want +got):\n%s", diff)
		}
	})
}

// Every thousandth transaction deletes what is old.
func TestUpdate_Prunes(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		record(t, db, metadb.Change{Kind: metadb.ChangeLink})
		old := time.Now().Add(-30 * 24 * time.Hour)
		mustExec(t, db, "update changes set created_at = $1", metadb.Micros(old))
		mustExec(t, db, "update change_head set seq = 999")
		record(t, db, metadb.Change{Kind: metadb.ChangeLink})
		if n := number(t, db, "select min(seq) from changes"); n != 1000 {
			t.Errorf("the oldest change is %d, want 1000", n)
		}
	})
}

// A server that crashes and comes back costs a follower nothing: neither what was committed before nor after.
func TestWatch_PostgresRestarts(t *testing.T) {
	url := metadbtest.Postgres(t)
	db := open(t, url)
	var log lockedBuilder
	followed, err := metadb.Open(t.Context(), url, metadb.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = followed.Close() })
	f := watch(t, followed, 0)
	change := metadb.Change{Kind: metadb.ChangeLink}
	for round := range int64(3) {
		record(t, db, change)
		_ = number(t, db, "select seq from change_head") // so that both pools have a connection to lose
		metadbtest.RestartPostgres(t)
		record(t, db, change)
		if head, err := db.Head(t.Context()); head != 2*round+2 || err != nil {
			t.Errorf("Head after a restart: %d, %v; want %d", head, err, 2*round+2)
		}
		eventually(t, "the change after a restart", func() bool { return f.last() == 2*round+2 })
		heard := f.heard.Load()
		eventually(t, "hearing from the database again", func() bool { return f.heard.Load() > heard })
	}
	for i, c := range f.seen() {
		if want := (metadb.Change{Seq: int64(i + 1), Kind: change.Kind}); c != want {
			t.Errorf("change %d is %+v, want %+v", i, c, want)
		}
	}
	if lost := strings.Count(log.String(), "lost the metadata database"); lost != 3 {
		t.Errorf("the log tells of %d losses, want 3:\n%s", lost, log.String())
	}
}

// lockedBuilder is where a logger writes.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A follower that has nothing to tell costs next to nothing.
func TestWatch_Idle(t *testing.T) {
	metadbtest.Each(t, func(t *testing.T, url string) {
		f := watch(t, open(t, url), 0)
		heard, begun, before := f.heard.Load(), time.Now(), cpuTime(t)
		eventually(t, "being told twice that nothing happens", func() bool {
			time.Sleep(100 * time.Millisecond)
			return f.heard.Load() >= heard+2 && time.Since(begun) > 2*time.Second
		})
		elapsed, used := time.Since(begun), cpuTime(t)-before
		if used > elapsed/50 {
			t.Errorf("an idle follower took %v of CPU in %v", used, elapsed)
		}
	})
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
