package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/objects"
)

const (
	lockWait  = 2 * time.Second       // how long an Add waits for another to commit
	lockRetry = 50 * time.Millisecond // how often it asks
	statLimit = 16                    // objects that are looked at at once
	staleTemp = 24 * time.Hour        // an unfinished copy that nobody has written to for so long is left over
)

// commit registers all files in one transaction.
func (a *addition) commit(ctx context.Context, files []stored) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	ctx, cancel := withinCommit(ctx)
	defer cancel()
	result := Result{Table: a.target.Table, Revision: a.rev, Files: make([]Added, len(files))}
	var fresh []datastore.NewFile
	var index []int
	for n, st := range files {
		result.Files[n] = Added{
			Path: st.path, Name: st.file.Name, Size: st.file.Size, Rows: st.file.Rows, SHA256: st.file.SHA256,
			Key: st.key, Existing: st.row != 0,
		}
		if st.row == 0 {
			fresh, index = append(fresh, st.file), append(index, n)
		}
	}
	if len(fresh) == 0 {
		return result, nil
	}
	rev, rows, err := a.publish(ctx, fresh)
	if err != nil {
		a.uncertain = !refused(err)
		return Result{}, err
	}
	result.Revision = rev
	for i, n := range index {
		result.Files[n].Name, result.Files[n].Existing = rows[i].Name, rows[i].Existing
	}
	a.dropRedundant(ctx, fresh, rows)
	return result, nil
}

func (a *addition) publish(ctx context.Context, fresh []datastore.NewFile) (datastore.Revision, []datastore.Registered, error) {
	o := datastore.PublishOptions{
		RegisterOptions: datastore.RegisterOptions{Tree: a.tree()},
		Replace:         a.o.Replace,
		Create:          datastore.CreateOptions{Actor: a.o.Actor},
	}
	if a.tree() {
		rev, rows, err := a.publishWhenFree(ctx, o, fresh)
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%w; %s", err, byReplacing)
		}
		return rev, rows, err
	}
	if a.rev.ID != 0 {
		return a.append(ctx, fresh)
	}
	o.Create.UUID = a.rev.UUID
	a.dropLeftovers(ctx)
	if err := a.verify(ctx, fresh); err != nil {
		return datastore.Revision{}, nil, err
	}
	if err := a.at("verified"); err != nil {
		return datastore.Revision{}, nil, err
	}
	rev, rows, err := a.publishWhenFree(ctx, o, fresh)
	if errors.Is(err, fs.ErrExist) {
		return rev, rows, errMoved // a collector has found the revision abandoned, and has it
	}
	if err == nil {
		err = a.restoreLost(ctx)
	}
	return rev, rows, err
}

// restoreLost stores those objects again that a collector has removed after they were looked at. Only old ones can be
// among them, and from now on none: they have rows.
func (a *addition) restoreLost(ctx context.Context) error {
	for url := range a.old {
		_, err := a.Objects.Stat(ctx, url)
		if errors.Is(err, fs.ErrNotExist) {
			claimed := a.names.all()[url[len(a.rev.Path):]]
			_, err = a.Objects.PutFile(ctx, url, claimed.path, objects.PutOptions{SHA256: claimed.sum})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *addition) publishWhenFree(ctx context.Context, o datastore.PublishOptions, fresh []datastore.NewFile) (
	rev datastore.Revision, rows []datastore.Registered, err error,
) {
	err = whenFree(ctx, func() (err error) {
		rev, rows, err = a.Data.Publish(ctx, a.target.Table, o, fresh)
		if isConflict(err) && !a.tree() && a.moved(ctx) {
			return errMoved
		}
		return err
	})
	return rev, rows, err
}

// append adds to the revision whose path the objects lie in. It is locked meanwhile, so that nobody removes objects that
// he has stored there and we have found.
func (a *addition) append(ctx context.Context, fresh []datastore.NewFile) (datastore.Revision, []datastore.Registered, error) {
	if err := a.lock(ctx); err != nil {
		return datastore.Revision{}, nil, err
	}
	if a.moved(ctx) {
		return datastore.Revision{}, nil, errMoved
	}
	if err := a.verify(ctx, fresh); err != nil {
		return datastore.Revision{}, nil, err
	}
	rows, err := a.Data.Register(ctx, a.rev, datastore.RegisterOptions{Job: a.job}, fresh)
	return a.rev, rows, err
}

// moved reports whether another revision than the one that we know is active now.
func (a *addition) moved(ctx context.Context) bool {
	now, err := a.Data.Active(ctx, a.target.Table)
	if errors.Is(err, fs.ErrNotExist) {
		return a.rev.ID != 0
	}
	return err == nil && !a.o.Replace && now.ID != a.rev.ID
}

// refused tells an answer of the database from the lack of one, after which the files may be registered all the same.
func refused(err error) bool {
	for _, kind := range []error{fault.ErrConflict, fs.ErrExist, fs.ErrNotExist, fs.ErrInvalid} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// verify looks at all objects once more and notes what the store says of them. One that is gone was removed by an Add
// that had stored it and failed, or by a collector.
func (a *addition) verify(ctx context.Context, fresh []datastore.NewFile) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(statLimit)
	var mu sync.Mutex // guards a.old
	a.old = map[string]struct{}{}
	for n := range fresh {
		f := &fresh[n]
		g.Go(func() error {
			info, err := a.Objects.Stat(ctx, f.URL)
			if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size != f.Size {
				return errMoved
			}
			f.ETag, f.Version = info.ETag, info.Version
			if err == nil && time.Since(info.ModTime) > MinCollectAge/2 {
				mu.Lock()
				defer mu.Unlock()
				a.old[f.URL] = struct{}{}
			}
			return err
		})
	}
	return g.Wait()
}

// lock makes a job of ours the only writer of the revision, unless it is already.
func (a *addition) lock(ctx context.Context) error {
	if a.job != nil {
		return nil
	}
	job, err := a.Data.StartJob(ctx, "add")
	if err != nil {
		return err
	}
	if err := whenFree(ctx, func() error { return a.Data.Lock(ctx, a.rev.ID, job) }); err != nil {
		return errors.Join(err, job.End(ctx, err))
	}
	a.job = job
	return nil
}

// whenFree tries again for a while what a lock forbids: most are held for the moment of a commit.
func whenFree(ctx context.Context, try func() error) error {
	deadline := time.Now().Add(lockWait)
	for {
		err := try()
		if !isConflict(err) || errors.Is(err, errMoved) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockRetry):
		}
	}
}

// dropRedundant removes objects whose content turned out to have a row under another name.
func (a *addition) dropRedundant(ctx context.Context, fresh []datastore.NewFile, rows []datastore.Registered) {
	if a.tree() {
		return
	}
	for i, r := range rows {
		if r.Existing && r.Name != fresh[i].Name {
			a.drop(ctx, fresh[i].URL)
		}
	}
}

// dropLeftovers removes what an interrupted Add has stored in our new revision and this one does not want.
func (a *addition) dropLeftovers(ctx context.Context) {
	wanted := a.names.all()
	for key := range a.known.objects {
		if _, ok := wanted[key[len(a.rev.Path):]]; !ok {
			a.drop(ctx, key)
		}
	}
}

// discard removes, after a failure, the objects of parquet files that nothing names. A new revision's path is ours
// alone; in that of another one only who has the lock can tell.
func (a *addition) discard(ctx context.Context) {
	ctx, cancel := withinCommit(ctx)
	defer cancel()
	names := a.names.all()
	if a.tree() || len(names) == 0 {
		return
	}
	if a.uncertain {
		a.Logger.WarnContext(ctx, "the database did not answer, so stored objects stay", "path", a.rev.Path)
		return
	}
	if a.rev.ID != 0 {
		if err := a.lock(ctx); err != nil {
			a.Logger.WarnContext(ctx, "objects that nothing names stay behind", "path", a.rev.Path, "err", err)
			return
		}
	}
	for name := range names {
		if a.rev.ID != 0 {
			if _, err := a.Data.LookupIn(ctx, a.rev.ID, name); !errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		a.drop(ctx, a.rev.Path+name)
	}
}

func (a *addition) drop(ctx context.Context, key string) {
	if err := a.Objects.Delete(ctx, key); err != nil {
		a.Logger.WarnContext(ctx, "an object that nothing names stays behind", "key", key, "err", err)
	}
}

// sweep removes unfinished copies that killed processes have left.
func (i *Ingester) sweep() {
	entries, err := os.ReadDir(i.Staging)
	if err != nil {
		return // then the copy will fail, and say why
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && durable.IsTemp(e.Name()) && time.Since(info.ModTime()) > staleTemp {
			_ = os.Remove(filepath.Join(i.Staging, e.Name()))
		}
	}
}
