package ingest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/metadb"
)

// A transaction stays open as long as files come one soon after another, and not so long that others who want to write
// to the table, or on SQLite to the database, would notice.
const (
	groupAge  = 20 * time.Millisecond
	groupIdle = 2 * time.Millisecond
)

// writeAtOnce is how many rows are written when there is a moment: few, for the next file waits until they are.
const writeAtOnce = 16

// groups are the transactions that are open for a moment.
type groups struct {
	unsettled atomic.Int64 // how many there are

	mu     sync.Mutex
	open   map[groupKey]*group // guarded by mu
	moved  map[Published]int64 // rows that had to be registered again, by what the writer was told; guarded by mu
	ending context.Context     //nolint:containedctx // ends when the Ingester is closed
	end    context.CancelFunc  // of ending
}

type groupKey struct {
	revision int64
	dev      bool // as long as it is that of `dev`
}

// group is a transaction that small files of a files table share which come one after another. Each is added to it at
// once, which tells whether it can be, and is acknowledged when its content is durable in the spool. To store it, and the
// commit, follow. What it would have registered when it fails is registered later: see redo.
type group struct {
	*Ingester
	key   groupKey
	table Table
	rev   datastore.Revision

	begun func()        // closes ready
	ready chan struct{} // closed when files can be added, or never will be
	hurry func()        // closes soon
	soon  chan struct{} // closed when somebody waits for the commit
	done  chan struct{} // closed when all files are settled

	mu       sync.Mutex // guards what follows
	freed    *sync.Cond // of mu
	adding   *datastore.Appending
	closed   bool // no file comes any more
	busy     int  // files that are on their way
	last     time.Time
	members  []*member
	aside    []*member      // of members, to be stored
	unstored []*member      // acknowledged, and no members any more
	added    map[int64]bool // rows that this transaction has made
	err      error          // why no file can be added
}

// member is a file of a group.
type member struct {
	*publication
	row  datastore.Registered
	told int64 // the row that its writer was told
	err  error // why it could not be added again, or stored
}

func newGroups() *groups {
	g := &groups{open: map[groupKey]*group{}, moved: map[Published]int64{}}
	g.ending, g.end = context.WithCancel(context.Background())
	return g
}

// Settle waits until what Publish has answered early is seen by everybody, or until the database has been away for too
// long; then it will be seen later.
func (i *Ingester) Settle(ctx context.Context) error {
	if i.groups.unsettled.Load() == 0 {
		return nil
	}
	patience := time.NewTimer(answerWait)
	defer patience.Stop()
	for _, g := range i.groups.all() {
		g.hurry()
		select {
		case <-g.done:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *groups) all() []*group {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*group
	for _, g := range s.open {
		all = append(all, g)
	}
	return all
}

// now is what was published, by the row that it has now.
func (s *groups) now(p Published) Published {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.moved[p]; ok {
		p.ID = id
	}
	return p
}

// of returns the open group that a publication belongs to, or begins one.
func (s *groups) of(p *publication) *group {
	key := groupKey{p.rev.ID, followsDev(p.table.Ref)}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.open[key]
	if g != nil {
		return g
	}
	g = &group{
		Ingester: p.Ingester, key: key, table: p.table, rev: p.rev,
		ready: make(chan struct{}), soon: make(chan struct{}), done: make(chan struct{}),
	}
	g.begun, g.hurry = sync.OnceFunc(func() { close(g.ready) }), sync.OnceFunc(func() { close(g.soon) })
	g.freed = sync.NewCond(&g.mu)
	s.open[key] = g
	s.unsettled.Add(1)
	go g.run()
	return g
}

// enter finds a group that takes files. Until leave is called it is not committed.
func (p *publication) enter(ctx context.Context) (*group, error) {
	for {
		g := p.groups.of(p)
		select {
		case <-g.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if entered, err := g.enter(); entered || err != nil {
			return g, err
		}
		select {
		case <-g.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (g *group) enter() (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil || g.closed {
		return false, g.err
	}
	g.busy++
	return true, nil
}

func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	g.freed.Signal()
}

// add adds the file of a publication that has entered.
func (g *group) add(ctx context.Context, p *publication) (*member, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = time.Now()
	row, err := g.adding.Add(ctx, p.files[0].new)
	if err != nil {
		if g.adding.Err() != nil {
			g.hurry()
		}
		return nil, err
	}
	m := &member{publication: p, told: row.ID}
	g.joined(m, row)
	g.members = append(g.members, m)
	return m, nil
}

// joined notes the row of a member. mu is held.
func (g *group) joined(m *member, row datastore.Registered) {
	m.row = row
	if !row.Existing {
		g.added[row.ID] = true
	}
}

// takeBack removes the file of a publication that has not left, unless another one has the same.
func (g *group) takeBack(ctx context.Context, m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.withdraw(ctx, m)
}

// storeLater has a file stored, that was set aside, before the commit.
func (g *group) storeLater(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.aside = append(g.aside, m)
}

// run takes files for a while, commits, and settles them.
func (g *group) run() {
	ctx, cancel := withinCommit(context.Background())
	defer cancel()
	err := whenFree(ctx, func() error {
		job, release := g.locks.join(g.rev.ID)
		defer release()
		o := datastore.AppendOptions{RegisterOptions: datastore.RegisterOptions{Job: job, Tree: true}}
		if g.key.dev {
			o.First = g.isDev
		}
		return g.Data.Append(ctx, g.rev, o, func(a *datastore.Appending) error { return g.collect(ctx, a) })
	})
	g.mu.Lock()
	g.closed = true
	if len(g.members) == 0 {
		g.err = err
	}
	g.mu.Unlock()
	g.begun()
	flushLater := func() {}
	if n := len(g.members); n > 0 {
		flushLater = g.members[n-1].intent.kept.flushLater()
	}
	for _, m := range g.members {
		m.settle(context.WithoutCancel(ctx), errors.Join(err, m.err))
	}
	for _, m := range g.unstored {
		m.putBack(context.WithoutCancel(ctx))
	}
	g.groups.remove(g)
	close(g.done)
	flushLater()
}

func (s *groups) remove(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, g.key)
	s.unsettled.Add(-1)
}

// isDev makes sure that the table is that of `dev` and remains so until the commit.
func (g *group) isDev(ctx context.Context, tx *metadb.Tx) error {
	h, err := g.Registry.HoldDev(ctx, tx, g.table.Ref.Reference.ID)
	if err == nil && h != g.table.target.Manifest {
		err = errMoved
	}
	return err
}

// collect has files added until it is time to commit. When it is called again it adds those that were.
func (g *group) collect(ctx context.Context, a *datastore.Appending) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.added = map[int64]bool{}
	for _, m := range g.members {
		row, err := a.Add(ctx, m.files[0].new)
		if a.Err() != nil {
			return err
		}
		m.err = err
		g.joined(m, row)
	}
	g.adding, g.last = a, time.Now()
	g.begun()
	if !g.closed {
		g.linger(ctx)
	}
	g.closed = true
	for g.busy > 0 {
		g.freed.Wait()
	}
	g.storeAside(ctx)
	if err := a.Err(); err != nil {
		return err
	}
	return g.at("group")
}

// linger waits until no more files come, and stores some meanwhile. mu is held, but while it waits or stores. When the time
// is over, what is left to be stored is stored while files still come: then nobody waits for that.
func (g *group) linger(ctx context.Context) {
	end := time.Now().Add(groupAge)
	timer := time.NewTimer(groupIdle)
	defer timer.Stop()
	for hurried := false; !hurried && (g.busy > 0 || time.Since(g.last) < groupIdle); {
		over := time.Since(end)
		if len(g.aside) > 0 && over < groupAge {
			g.storeNext(ctx)
			continue
		}
		if over > 0 {
			return
		}
		if g.adding.Waiting() >= writeAtOnce && g.adding.Write(ctx) != nil {
			return
		}
		g.mu.Unlock()
		select {
		case <-g.soon:
			hurried = true
		case <-timer.C:
			timer.Reset(groupIdle)
		}
		g.mu.Lock()
	}
}
