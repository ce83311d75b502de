package ingest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
)

// linger is how long revisions stay locked after the last commit, so that a row of them costs one lock.
const linger = 100 * time.Millisecond

// locks are the revisions that are locked for what is published, all by one job. It lives from the first lock to some
// moments after the last.
type locks struct {
	data *datastore.Store
	kind string // of the job

	mu    sync.Mutex // guards what follows, and is held while the database is asked for a lock
	job   *datastore.Job
	held  map[int64]bool // by the job
	users int
	timer *time.Timer
}

// hold locks a revision until release is called. What another living job has locked is fault.ErrConflict.
func (l *locks) hold(ctx context.Context, locationID int64) (job *datastore.Job, release func(), err error) {
	renewed := false
	err = whenFree(ctx, func() (err error) {
		job, err = l.try(ctx, locationID)
		if isConflict(err) && !renewed { // it may be our own job that others have taken for dead
			renewed = true
			return errors.Join(err, ignore(l.close(ctx), fault.ErrConflict))
		}
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, ignore(l.close(ctx), fault.ErrConflict))
	}
	return job, l.release, nil
}

func (l *locks) try(ctx context.Context, locationID int64) (*datastore.Job, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.job == nil {
		job, err := l.data.StartJob(ctx, l.kind)
		if err != nil {
			return nil, err
		}
		l.job, l.held = job, map[int64]bool{}
	}
	if !l.held[locationID] {
		if err := l.data.Lock(ctx, locationID, l.job); err != nil {
			return nil, err
		}
		l.held[locationID] = true
	}
	l.users++
	return l.job, nil
}

// join is hold for a revision that is locked already; else the job is nil.
func (l *locks) join(locationID int64) (job *datastore.Job, release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held[locationID] {
		return nil, func() {}
	}
	l.users++
	return l.job, l.release
}

func (l *locks) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer = time.AfterFunc(linger, func() { _ = l.close(context.Background()) }) // the job's heartbeats end in any case
}

// close releases all locks, unless somebody needs them.
func (l *locks) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users > 0 {
		return nil
	}
	return l.end(ctx)
}

func (l *locks) end(ctx context.Context) error {
	job := l.job
	l.job, l.held = nil, nil
	if job == nil {
		return nil
	}
	return job.End(ctx, nil)
}

// claims keep two from storing objects under one key at a time.
type claims struct {
	mu    sync.Mutex
	freed *sync.Cond      // of mu
	taken map[string]bool // guarded by mu
}

// take waits until none of the keys is taken, and takes them all.
func (c *claims) take(keys []string) (free func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil {
		c.taken, c.freed = map[string]bool{}, sync.NewCond(&c.mu)
	}
	for c.any(keys) {
		c.freed.Wait()
	}
	for _, k := range keys {
		c.taken[k] = true
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range keys {
			delete(c.taken, k)
		}
		c.freed.Broadcast()
	}
}

func (c *claims) any(keys []string) bool {
	for _, k := range keys {
		if c.taken[k] {
			return true
		}
	}
	return false
}

// shared are the rows that more than one writer was told is his, so that none of them may take it back.
type shared struct {
	find sync.RWMutex // held shared while rows are found and added, exclusive while rows are removed

	mu   sync.Mutex
	rows map[int64]struct{} // guarded by mu
}

func (s *shared) add(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[int64]struct{}{}
	}
	s.rows[id] = struct{}{}
}

// addExisting adds those rows that were there before.
func (s *shared) addExisting(rows []datastore.Registered) {
	for _, r := range rows {
		if r.Existing {
			s.add(r.ID)
		}
	}
}

func (s *shared) has(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.rows[id]
	return ok
}

// finding begins the search for a row, which is added before done is called.
func (s *shared) finding() (done func()) {
	s.find.RLock()
	return s.find.RUnlock
}

// remove returns those rows that nobody shares, and keeps them from being found until done is called.
func (s *shared) remove(rows []int64) (own []int64, done func()) {
	s.find.Lock()
	for _, id := range rows {
		if !s.has(id) {
			own = append(own, id)
		}
	}
	return own, s.find.Unlock
}
