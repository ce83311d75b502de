package datastore

import "context"

// Job is a writer that can lock revisions. It tells the database that it lives, from a goroutine of its own, until it
// ends; one that falls silent loses its locks to whoever wants them.
type Job struct {
	ID int64
}

// StartJob begins a job of that kind ("ingest", "compact", …). The caller must End it; ctx only bounds the start.
func (s *Store) StartJob(ctx context.Context, kind string) (*Job, error) {
	return nil, errAPI
}

// End ends the job as done, or as failed with a cause, and releases its locks, also where ctx is cancelled. It is
// fault.ErrConflict when another had taken the job over. A second call does nothing.
func (j *Job) End(ctx context.Context, cause error) error { return errAPI }

// Lock makes a job the only writer of a revision. A lock of another living job is fault.ErrConflict, one of a dead job
// is taken over, which the table of jobs records. Locking what the job has locked is success.
func (s *Store) Lock(ctx context.Context, locationID int64, j *Job) error { return errAPI }

// Unlock gives up the job's lock of a revision; not having it is success.
func (s *Store) Unlock(ctx context.Context, locationID int64, j *Job) error { return errAPI }
