package datastore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// endTimeout bounds the end of a job, which the caller's context does not end.
const endTimeout = 30 * time.Second

// Job is a writer that can lock revisions. It tells the database that it lives, from a goroutine of its own, until it
// ends; one that falls silent loses its locks to whoever wants them.
type Job struct {
	ID int64

	store *Store
	stop  context.CancelFunc
	done  chan struct{} // closed when the goroutine has ended
	end   sync.Once
}

// StartJob begins a job of that kind ("ingest", "compact", …). The caller must End it; ctx only bounds the start.
func (s *Store) StartJob(ctx context.Context, kind string) (*Job, error) {
	j := &Job{store: s, done: make(chan struct{})}
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		now := metadb.Micros(time.Now())
		return tx.QueryRow(ctx, `insert into jobs (node, kind, status, heartbeat_at, created_at)
			values ($1, $2, 'running', $3, $4) returning id`, s.node, kind, now, now).Scan(&j.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("start a job: %w", err)
	}
	ctx, j.stop = context.WithCancel(context.WithoutCancel(ctx))
	go j.live(ctx)
	return j, nil
}

// live sends heartbeats. One that fails is made up for by the next; if all fail, the job is dead, and the database
// will say so to whatever it tries.
func (j *Job) live(ctx context.Context) {
	defer close(j.done)
	tick := time.NewTicker(j.store.deadAfter / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := j.store.db.Update(ctx, func(tx *metadb.Tx) error {
			_, err := tx.Exec(ctx, `update jobs set heartbeat_at = $1 where id = $2 and status = 'running'`,
				metadb.Micros(time.Now()), j.ID)
			return err
		})
		if err != nil && ctx.Err() == nil {
			j.store.log.WarnContext(ctx, "heartbeat failed", "job", j.ID, "err", err)
		}
	}
}

// End ends the job as done, or as failed with a cause, and releases its locks, also where ctx is cancelled. It is
// fault.ErrConflict when another had taken the job over. A second call does nothing.
func (j *Job) End(ctx context.Context, cause error) error {
	var err error
	j.end.Do(func() { err = j.finish(ctx, cause) })
	return err
}

func (j *Job) finish(ctx context.Context, cause error) error {
	j.stop()
	<-j.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	status := "done"
	if cause != nil {
		status = "failed"
	}
	var ended int64
	err := j.store.db.Update(ctx, func(tx *metadb.Tx) error {
		_, err := tx.Exec(ctx, `update physical_tables set writer = null where writer = $1`, j.ID)
		if err != nil {
			return err
		}
		ended, err = tx.Exec(ctx, `update jobs set status = $1, heartbeat_at = $2 where id = $3 and status = 'running'`,
			status, metadb.Micros(time.Now()), j.ID)
		return err
	})
	if err == nil && ended == 0 {
		err = fmt.Errorf("it was taken over: %w", fault.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("end job %d: %w", j.ID, err)
	}
	return nil
}

// check is fault.ErrConflict for a job that has ended or was taken over.
func (j *Job) check(ctx context.Context, tx *metadb.Tx) error {
	var status string
	if err := tx.QueryRow(ctx, `select status from jobs where id = $1`, j.ID).Scan(&status); err != nil {
		return fmt.Errorf("job %d: %w", j.ID, err)
	}
	if status != "running" {
		return fmt.Errorf("job %d is %s: %w", j.ID, status, fault.ErrConflict)
	}
	return nil
}

// Lock makes a job the only writer of a revision. A lock of another living job is fault.ErrConflict, one of a dead job
// is taken over, which the table of jobs records. Locking what the job has locked is success.
func (s *Store) Lock(ctx context.Context, locationID int64, j *Job) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		rev, err := revisionWhere(ctx, tx, `p.id = $1`+tx.ForUpdate(), locationID)
		if err != nil {
			return err
		}
		if err := s.release(ctx, tx, &rev, j); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update physical_tables set writer = $1 where id = $2`, j.ID, locationID)
		return err
	})
	if err != nil {
		return fmt.Errorf("lock revision %d for job %d: %w", locationID, j.ID, err)
	}
	return nil
}

// Unlock gives up the job's lock of a revision; not having it is success.
func (s *Store) Unlock(ctx context.Context, locationID int64, j *Job) error {
	err := s.db.Update(ctx, func(tx *metadb.Tx) error {
		_, err := tx.Exec(ctx, `update physical_tables set writer = null where id = $1 and writer = $2`, locationID, j.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("unlock revision %d: %w", locationID, err)
	}
	return nil
}

// TakeOver ends all running jobs of that kind on this node, as a dead job is taken over, and releases their locks: for
// who knows that none of them lives. It returns how many there were.
func (s *Store) TakeOver(ctx context.Context, kind string) (jobs int64, err error) {
	err = s.db.Update(ctx, func(tx *metadb.Tx) (err error) {
		const ofKind = `node = $1 and kind = $2 and status = 'running'`
		if _, err = tx.Exec(ctx, `update physical_tables set writer = null
			where writer in (select id from jobs where `+ofKind+`)`, s.node, kind); err != nil {
			return err
		}
		jobs, err = tx.Exec(ctx, `update jobs set status = 'taken over' where `+ofKind, s.node, kind)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("take over jobs: %w", err)
	}
	return jobs, nil
}

// release makes sure that no other job than j, which may be nil, has the lock of a revision whose row is locked: that
// of a dead job is taken from it, that of a living one is fault.ErrConflict.
func (s *Store) release(ctx context.Context, tx *metadb.Tx, rev *Revision, j *Job) error {
	if j != nil {
		if err := j.check(ctx, tx); err != nil || rev.Writer == j.ID {
			return err
		}
	}
	if rev.Writer == 0 {
		return nil
	}
	now := time.Now()
	if _, err := tx.Exec(ctx, `update jobs set status = 'taken over' where id = $1 and status = 'running'
		and heartbeat_at < $2`, rev.Writer, metadb.Micros(now.Add(-s.deadAfter))); err != nil {
		return err
	}
	var status, node, kind string
	var beat int64
	if err := tx.QueryRow(ctx, `select status, node, kind, heartbeat_at from jobs where id = $1`, rev.Writer).
		Scan(&status, &node, &kind, &beat); err != nil {
		return err
	}
	if status == "running" {
		return fmt.Errorf("revision %s is locked by job %d (%s on %q, alive %s ago, which loses it after %s of silence): %w",
			rev.UUID, rev.Writer, kind, node, now.Sub(metadb.Time(beat)).Round(time.Second), s.deadAfter, fault.ErrConflict)
	}
	rev.Writer = 0
	_, err := tx.Exec(ctx, `update physical_tables set writer = null where id = $1`, rev.ID)
	return err
}
