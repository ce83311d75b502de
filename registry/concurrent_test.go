package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/registry"
)

const (
	workers   = 4  // goroutines in each process
	steps     = 60 // of each goroutine
	manifests = 5  // that they contend for
)

// rising are the versions that they contend for, in the order that semver gives them.
var rising = []string{"0.9.0", "0.10.0-rc.2", "0.10.0-rc.10", "0.10.0", "0.10.0+a", "0.10.0+b", "1.0.0-alpha", "1.0.0"}

// Many goroutines of several processes set and delete tags, link, unlink, register and delete. In every state that one
// of their transactions left, in every one that was seen meanwhile, and at the end, latest and dev are right.
func TestRegistry_Concurrent(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		stopped, checked := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(checked)
			e.checkUntil(t, stopped)
		}()
		other := startWorker(t, e, 2)
		other.begin(t)
		err := work(t.Context(), e.Registry, 1)
		other.wait(t)
		close(stopped)
		<-checked
		if err != nil {
			t.Error(err)
		}
		e.checkHistory(t)
		if diff := cmp.Diff(e.objects(t), e.rows(t), sorted); diff != "" {
			t.Errorf("objects (-) and rows (+) differ:\n%s", diff)
		}
	})
}

// work contends with others for the dataset flights.
func work(ctx context.Context, r *registry.Registry, seed uint64) error {
	g, ctx := errgroup.WithContext(ctx)
	for n := range workers {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		g.Go(func() error {
			for range steps {
				if err := step(ctx, r, rng); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// step does one thing, and is content with the refusals that another's doing can bring about.
func step(ctx context.Context, r *registry.Registry, rng *rand.Rand) error {
	n := rng.IntN(manifests)
	h := dataset.HashOf(content(n))
	v, err := dataset.ParseVersion(rising[rng.IntN(len(rising))])
	if err != nil {
		return err
	}
	switch rng.IntN(10) {
	case 0, 1, 2, 3:
		_, err = r.SetTag(ctx, flights, v, h, true)
		return except(err, fs.ErrNotExist)
	case 4:
		return r.DeleteTag(ctx, flights, v)
	case 5, 6, 7:
		if err := r.Link(ctx, flights, h); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = r.Register(ctx, "test", content(n))
		return err
	case 8:
		return r.Unlink(ctx, flights, h)
	default:
		return except(r.Delete(ctx, h), fault.ErrConflict)
	}
}

func except(err, allowed error) error {
	if errors.Is(err, allowed) {
		return nil
	}
	return err
}

// state is what a dataset looks like at one moment.
type state struct {
	tags  map[string]string // hashes by version, latest and dev included
	links []string          // hashes in the order of the links
}

// check tells what is wrong with it.
func (s state) check() error {
	want := map[string]string{}
	for _, v := range rising {
		h, ok := s.tags[v]
		if !ok {
			continue
		}
		if !slices.Contains(s.links, h) {
			return fmt.Errorf("%s denotes %s, which is not linked: %+v", v, h, s)
		}
		want[v], want["latest"] = h, h
	}
	if n := len(s.links); n > 0 {
		want["dev"] = s.links[n-1]
	}
	if diff := cmp.Diff(want, s.tags); diff != "" {
		return fmt.Errorf("tags (-want +got):\n%s", diff)
	}
	return nil
}

// checkUntil checks the dataset in one snapshot after the other.
func (e env) checkUntil(t *testing.T, stop <-chan struct{}) {
	ids := map[int64]string{}
	for n := 0; ; n++ {
		err := e.db.View(t.Context(), func(q metadb.Queryer) error { return checkNow(t.Context(), q, ids) })
		if err != nil {
			t.Errorf("snapshot %d: %v", n, err)
			return
		}
		select {
		case <-stop:
			t.Logf("checked %d snapshots, in which latest and dev were %d rows", n+1, len(ids))
			return
		default:
		}
	}
}

// checkNow checks what one snapshot shows. ids are the contents of the rows of latest and dev seen so far.
func checkNow(ctx context.Context, q metadb.Queryer, ids map[int64]string) error {
	s := state{tags: map[string]string{}}
	highest := ""
	err := query(ctx, q, `SELECT id, version, hash, target FROM dataset_tags WHERE namespace = 'aero' AND name = 'flights'`,
		func(scan func(...any) error) error {
			var id int64
			var version, hash, target string
			if err := scan(&id, &version, &hash, &target); err != nil {
				return err
			}
			s.tags[version] = hash
			switch version {
			case "latest":
				highest = target
			case "dev":
			default:
				return nil
			}
			if was, seen := ids[id]; seen && was != version+target+hash {
				return fmt.Errorf("the row %d of %s changed from %s to %s", id, version, was, target+hash)
			}
			ids[id] = version + target + hash
			return nil
		})
	if err != nil {
		return err
	}
	err = query(ctx, q, `SELECT hash FROM dataset_manifests WHERE namespace = 'aero' AND name = 'flights' ORDER BY link_no`,
		func(scan func(...any) error) error {
			s.links = append(s.links, "")
			return scan(&s.links[len(s.links)-1])
		})
	if err != nil {
		return err
	}
	for _, v := range slices.Backward(rising) {
		if _, ok := s.tags[v]; ok && highest != v {
			return fmt.Errorf("latest is %q, want %s: %+v", highest, v, s)
		} else if ok {
			break
		}
	}
	return s.check()
}

func query(ctx context.Context, q metadb.Queryer, sql string, row func(scan func(...any) error) error) error {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return err
	}
	for rows.Next() && err == nil {
		err = row(rows.Scan)
	}
	return errors.Join(err, rows.Err(), rows.Close())
}

// checkHistory checks the dataset as every single transaction left it, as the changes tell, and that they end in what
// the database holds.
func (e env) checkHistory(t *testing.T) {
	t.Helper()
	s := state{tags: map[string]string{}}
	var seq int64
	check := func() {
		if err := s.check(); err != nil {
			t.Errorf("after transaction %d: %v", seq, err)
		}
	}
	for _, c := range changesAfter(t, e.db, 0) {
		if c.Seq != seq {
			check()
		}
		if c.Seq > seq+1 {
			t.Errorf("transaction %d follows %d", c.Seq, seq)
		}
		seq = c.Seq
		s.apply(c)
	}
	check()
	t.Logf("checked %d transactions", seq)
	tags, err := e.Tags(t.Context(), flights)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, tag := range tags {
		got[tag.Name] = tag.Hash.String()
	}
	if diff := cmp.Diff(s.tags, got); diff != "" {
		t.Errorf("what the changes add up to (-) and what is there (+) differ:\n%s", diff)
	}
}

func (s *state) apply(c metadb.Change) {
	switch {
	case c.Kind == metadb.ChangeTag && c.Hash == "":
		delete(s.tags, c.Version)
	case c.Kind == metadb.ChangeTag:
		s.tags[c.Version] = c.Hash
	default:
		s.links = slices.DeleteFunc(s.links, func(h string) bool { return h == c.Hash })
		if c.Kind == metadb.ChangeLink {
			s.links = append(s.links, c.Hash)
		}
	}
}

// changesAfter returns what was recorded after that transaction.
func changesAfter(t *testing.T, db *metadb.DB, after int64) []metadb.Change {
	t.Helper()
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head == after {
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []metadb.Change
	err = db.Watch(ctx, after, func(some []metadb.Change) {
		all = append(all, some...)
		if n := len(all); n > 0 && all[n-1].Seq >= head {
			cancel()
		}
	})
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Fatalf("got %d changes up to transaction %d, want all: %v", len(all), head, err)
	}
	return all
}

// When the first versions of a dataset are set by many at once, latest is the highest.
func TestRegistry_SetTag_FirstAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		for round := range 10 {
			id := dataset.ID{Namespace: "aero", Name: dataset.Name(fmt.Sprintf("flights%d", round))}
			h := e.link(t, id, 1)
			var sets []func()
			for _, v := range rising {
				sets = append(sets, func() { e.tag(t, id, v, h) })
			}
			atOnce(sets...)
			if got, want := e.row(t, id, "latest").Target, rising[len(rising)-1]; got != want {
				t.Errorf("got latest -> %s, want %s", got, want)
			}
		}
	})
}

// When the first manifests of a dataset are linked by many at once, none is lost and dev is the last.
func TestRegistry_Link_FirstAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e env) {
		var links []func()
		var mu sync.Mutex
		want := map[dataset.Hash]bool{}
		for n := range 8 {
			links = append(links, func() {
				h := e.link(t, flights, n)
				mu.Lock()
				defer mu.Unlock()
				want[h] = true
			})
		}
		atOnce(links...)
		all, err := e.Links(t.Context(), flights)
		if err != nil {
			t.Fatal(err)
		}
		got := map[dataset.Hash]bool{}
		for _, l := range all {
			got[l.Hash] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("links (-want +got):\n%s", diff)
		}
		if dev := e.row(t, flights, "dev").Hash; dev != all[len(all)-1].Hash {
			t.Errorf("dev denotes %s, want %s, which was linked last", dev, all[len(all)-1].Hash)
		}
	})
}
