package datastore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
)

func (f *fixture) status(t *testing.T, j *datastore.Job) string {
	t.Helper()
	return value[string](t, f, `select status from jobs where id = $1`, j.ID)
}

func (f *fixture) writer(t *testing.T, rev datastore.Revision) int64 {
	t.Helper()
	return value[int64](t, f, `select coalesce(writer, 0) from physical_tables where id = $1`, rev.ID)
}

// kill makes a job one that has been silent for too long.
func (f *fixture) kill(t *testing.T, j *datastore.Job) {
	t.Helper()
	f.exec(t, `update jobs set heartbeat_at = heartbeat_at - $1 where id = $2`,
		(datastore.DefaultDeadAfter + time.Second).Microseconds(), j.ID)
}

func TestStore_Lock(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		a, b := f.startJob(t), f.startJob(t)
		rev := f.create(t, datastore.CreateOptions{Job: a})
		wantEqual(t, "writer of a revision made by a job", a.ID, rev.Writer)
		for range 2 {
			if err := f.Lock(t.Context(), rev.ID, a); err != nil {
				t.Errorf("lock again: %v", err)
			}
		}
		wantErr(t, "lock what another has", f.Lock(t.Context(), rev.ID, b), fault.ErrConflict)
		if err := f.Unlock(t.Context(), rev.ID, b); err != nil {
			t.Errorf("unlock what another has: %v", err)
		}
		wantEqual(t, "writer", a.ID, f.writer(t, rev))
		if err := f.Unlock(t.Context(), rev.ID, a); err != nil {
			t.Fatal(err)
		}
		if err := f.Lock(t.Context(), rev.ID, b); err != nil {
			t.Errorf("lock what is free: %v", err)
		}
		wantEqual(t, "writer", b.ID, f.writer(t, rev))
	})
}

func TestJob_End(t *testing.T) {
	for _, tt := range []struct {
		name, status string
		cause        error
	}{
		{"Done", "done", nil},
		{"Failed", "failed", errors.New("no room")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, f *fixture) {
				j := f.startJob(t)
				rev := f.create(t, datastore.CreateOptions{Job: j})
				wantEqual(t, "status", "running", f.status(t, j))
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				for range 2 {
					if err := j.End(ctx, tt.cause); err != nil {
						t.Fatal(err)
					}
				}
				wantEqual(t, "status", tt.status, f.status(t, j))
				wantEqual(t, "writer", int64(0), f.writer(t, rev))
				wantErr(t, "lock by an ended job", f.Lock(t.Context(), rev.ID, j), fault.ErrConflict)
				_, err := f.Create(t.Context(), f.table, datastore.CreateOptions{Job: j})
				wantErr(t, "create by an ended job", err, fault.ErrConflict)
			})
		})
	}
}

func TestStore_Lock_TakenOver(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dead, heir := f.startJob(t), f.startJob(t)
		rev := f.create(t, datastore.CreateOptions{Job: dead})
		f.kill(t, dead)
		if err := f.Lock(t.Context(), rev.ID, heir); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "writer", heir.ID, f.writer(t, rev))
		wantEqual(t, "status", "taken over", f.status(t, dead))

		// It was not dead but slow. It can do no harm, and learns of it.
		_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{Job: dead}, newFiles(0, 1))
		wantErr(t, "register by a job that was taken over", err, fault.ErrConflict)
		_, _, err = f.Publish(t.Context(), f.table, datastore.PublishOptions{
			RegisterOptions: datastore.RegisterOptions{Job: dead}, Replace: true,
		}, newFiles(0, 1))
		wantErr(t, "publish by a job that was taken over", err, fault.ErrConflict)
		wantErr(t, "lock by a job that was taken over", f.Lock(t.Context(), rev.ID, dead), fault.ErrConflict)
		wantErr(t, "end of a job that was taken over", dead.End(t.Context(), nil), fault.ErrConflict)
		wantEqual(t, "status", "taken over", f.status(t, dead))
		wantEqual(t, "writer", heir.ID, f.writer(t, rev))
		f.register(t, rev, datastore.RegisterOptions{Job: heir}, newFile(0))
	})
}

// Who has no job need not wait for a dead one either.
func TestStore_Register_AfterDeadJob(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dead := f.startJob(t)
		rev := f.create(t, datastore.CreateOptions{Job: dead})
		_, err := f.Register(t.Context(), rev, datastore.RegisterOptions{}, newFiles(0, 1))
		wantErr(t, "while the job lives", err, fault.ErrConflict)
		f.kill(t, dead)
		f.register(t, rev, datastore.RegisterOptions{}, newFile(0))
		wantEqual(t, "status", "taken over", f.status(t, dead))
		wantEqual(t, "writer", int64(0), f.writer(t, rev))
	})
}

func TestStore_Lock_Race(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		dead := f.startJob(t)
		rev := f.create(t, datastore.CreateOptions{Job: dead})
		f.kill(t, dead)
		const heirs = 6
		won := make([]bool, heirs)
		var g errgroup.Group
		for n := range heirs {
			h := f.again(t, datastore.Options{})
			j := h.startJob(t)
			g.Go(func() error {
				err := h.Lock(t.Context(), rev.ID, j)
				if won[n] = err == nil; won[n] || errors.Is(err, fault.ErrConflict) {
					return nil
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		wantEqual(t, "jobs that took the lock", 1, n)
	})
}

func TestJob_Heartbeat(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		lively := f.again(t, datastore.Options{DeadAfter: 60 * time.Millisecond})
		j := lively.startJob(t)
		beat := func() int64 { return value[int64](t, f, `select heartbeat_at from jobs where id = $1`, j.ID) }
		first := beat()
		for deadline := time.Now().Add(10 * time.Second); beat() == first; {
			if time.Now().After(deadline) {
				t.Fatal("no heartbeat in 10 s")
			}
			time.Sleep(time.Millisecond)
		}
		if err := j.End(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		last := beat()
		time.Sleep(30 * time.Millisecond)
		wantEqual(t, "heartbeat after the end", last, beat())
	})
}
