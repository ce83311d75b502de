package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

// recentFor is how long what was looked up is believed, about as long as any change may take to show.
const recentFor = 500 * time.Millisecond

// recent is what was looked up a moment ago of the files tables under `dev`, so that a row of small files costs one
// look. It saves time only: the transaction that publishes makes sure of both, and no refusal rests on it.
type recent struct {
	mu     sync.Mutex
	tables map[dataset.TableRef]recentTable // guarded by mu
}

type recentTable struct {
	table Table
	rev   datastore.Revision // the active one; ID 0 where it was not looked up
	until time.Time
}

// get returns the table, if it is known, and its active revision, if that is.
func (r *recent) get(ref dataset.TableRef) (t Table, rev datastore.Revision, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.tables[ref]
	if !ok || time.Now().After(e.until) {
		return Table{}, datastore.Revision{}, false
	}
	return e.table, e.rev, true
}

// put remembers a table, if it is of that kind.
func (r *recent) put(t Table) {
	if t.Kind != manifest.Files || !followsDev(t.Ref) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tables == nil || len(r.tables) >= maxManifests {
		r.tables = map[dataset.TableRef]recentTable{}
	}
	r.tables[t.Ref] = recentTable{table: t, until: time.Now().Add(recentFor)}
}

// putActive remembers the active revision of a table that is remembered.
func (r *recent) putActive(t Table, rev datastore.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.tables[t.Ref]; ok && e.table.target.Table == t.target.Table {
		e.rev = rev
		r.tables[t.Ref] = e
	}
}

func (r *recent) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables = nil
}

// active is the active revision of the table. It may be that of a moment ago for a file that comes by itself.
func (p *publication) active(ctx context.Context) (datastore.Revision, error) {
	if _, rev, ok := p.recent.get(p.table.Ref); ok && rev.ID != 0 && p.alone() && rev.Table == p.table.target.Table {
		p.believed = true
		return rev, nil
	}
	rev, err := p.Data.Active(ctx, p.table.target.Table)
	if err == nil {
		p.recent.putActive(p.table, rev)
	}
	return rev, err
}

// again tells whether a publication that failed may have done so because of what it believed, and is to be tried again
// with what is true now.
func (p *publication) again(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil || !p.believed && !errors.Is(err, errMoved) {
		return false
	}
	p.recent.forget()
	return true
}
