package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
)

const (
	minWorkers    = 16               // they mostly wait for the disk: 10,000 small files took half the time that 2 need
	maxRefusals   = 50               // files that one error names
	maxAttempts   = 3                // times that an Add begins again because the active revision has changed
	commitTimeout = 10 * time.Minute // bounds a commit, which the caller's context does not end
)

// Add adds the files, and those in the directories, to the table that ref names (see Target): all of them, or none.
//
// First every file is judged, and where one is refused nothing is stored: the error is a *RefusedError. Then they are
// stored, several at once, and at last registered in one transaction. Content that the revision has already is success,
// and is only read. A table that another living writer has locked is fault.ErrConflict. After ctx ended, the same call
// goes on where this one stopped.
func (i *Ingester) Add(ctx context.Context, ref dataset.TableRef, paths []string, o AddOptions) (Result, error) {
	if o.Workers <= 0 {
		o.Workers = max(minWorkers, runtime.GOMAXPROCS(0))
	}
	t, err := i.Target(ctx, ref)
	if err != nil {
		return Result{}, err
	}
	i.sweep()
	sources, refused := find(t.Spec, paths)
	refused = append(refused, checkAll(ctx, t.Spec, sources, o.Workers)...)
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	if err := refusal(refused); err != nil {
		return Result{}, err
	}
	for attempt := 1; ; attempt++ {
		a := &addition{Ingester: i, target: t, o: o, sources: sources, meter: newMeter(o.Progress, sources)}
		result, err := a.run(ctx)
		if !errors.Is(err, errMoved) || attempt == maxAttempts {
			return result, err
		}
	}
}

// errMoved says that what was prepared no longer fits, because somebody changed the table meanwhile.
var errMoved = conflict("the table was changed by somebody else while files were stored; run the command again")

// RefusedError says which files were refused, and why. It is of the kinds of all.
type RefusedError struct {
	Files []error // one for each, beginning with its path
}

func (e *RefusedError) Error() string {
	if len(e.Files) == 1 {
		return e.Files[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d files are refused, so nothing was added:", len(e.Files))
	for n, err := range e.Files {
		if n == maxRefusals {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Files)-n)
			break
		}
		fmt.Fprintf(&b, "\n  %v", err)
	}
	return b.String()
}

func (e *RefusedError) Unwrap() []error { return e.Files }

func refusal(refused []error) error {
	if len(refused) == 0 {
		return nil
	}
	return &RefusedError{refused}
}

// checkAll judges all files by what can be told without reading them whole.
func checkAll(ctx context.Context, spec manifest.Table, sources []source, workers int) []error {
	refused := make([]error, len(sources))
	var g errgroup.Group
	g.SetLimit(workers)
	for n, s := range sources {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := s.check(spec); err != nil {
				refused[n] = s.fail(err)
			}
			return nil
		})
	}
	_ = g.Wait() // no function fails
	var all []error
	for _, err := range refused {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

func (s source) check(spec manifest.Table) error {
	if spec.Kind == manifest.Files { // the walk has seen that it is regular
		return unix.Faccessat(unix.AT_FDCWD, s.path, unix.R_OK, unix.AT_EACCESS)
	}
	f, info, err := durable.OpenRegular(s.path, false)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = Check(f, info.Size(), spec, s.keys)
	return err
}

// fail says which file an error is about.
func (s source) fail(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok && pathError.Path == s.path {
		err = pathError.Err
	}
	return fmt.Errorf("%s: %w", s.path, err)
}

// addition is one attempt of an Add.
type addition struct {
	*Ingester
	target  Target
	o       AddOptions
	sources []source
	meter   *meter
	journal *journal
	rev     datastore.Revision // that is appended to; or with ID 0 a new one, of which UUID and Path are chosen
	job     *datastore.Job     // holds the lock of rev, nil while it is not held
	known   known
	names   nameSet
	bulk    *filestore.Bulk // of small files

	old       map[string]struct{} // objects that a collector may take for garbage
	uncertain bool                // whether the files were registered
}

// stored is a file whose content is durable.
type stored struct {
	source
	file datastore.NewFile
	row  int64  // its row, where the revision has it already; else 0
	key  string // of a file in the file store
}

func (a *addition) run(ctx context.Context) (result Result, err error) {
	a.journal, err = openJournal(a.Staging, a.target.String(), a.o.Replace)
	if err != nil {
		return Result{}, err
	}
	files, err := a.store(ctx)
	if err == nil {
		result, err = a.commit(ctx, files)
	}
	interrupted := err != nil && ctx.Err() != nil && a.journal.file != nil && !a.journal.private
	if err != nil && !interrupted {
		a.discard(ctx)
	}
	if a.job != nil {
		if failed := a.job.End(ctx, err); failed != nil {
			a.Logger.WarnContext(ctx, "the lock of a revision may last until its job counts as dead", "err", failed)
		}
	}
	if failed := a.journal.close(interrupted); failed != nil {
		a.Logger.WarnContext(ctx, "a journal stays behind", "err", failed)
	}
	return result, err
}

// store makes the content of all files durable.
func (a *addition) store(ctx context.Context) ([]stored, error) {
	if err := a.begin(ctx); err != nil {
		return nil, err
	}
	one := a.storeParquet
	if a.tree() {
		one = a.storeFile
	}
	files := make([]stored, len(a.sources))
	a.bulk = a.Files.Bulk()
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(a.o.Workers)
	for n, s := range a.sources {
		if all.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			if files[n], err = one(all, n); err != nil {
				return s.fail(err)
			}
			a.meter.add(1, 0)
			return nil
		})
	}
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return nil, errors.Join(err, a.bulk.Discard())
	}
	// After an interruption too: the next Add goes on from there.
	return files, errors.Join(a.bulk.Commit(context.WithoutCancel(ctx)), ctx.Err())
}

func (a *addition) tree() bool { return a.target.Spec.Kind == manifest.Files }

// begin chooses the revision and finds out what is there already.
func (a *addition) begin(ctx context.Context) (err error) {
	if !a.o.Replace {
		a.rev, err = a.Data.Active(ctx, a.target.Table)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if a.rev.ID == 0 {
		if err := a.chooseRevision(ctx); err != nil {
			return err
		}
	}
	if a.tree() {
		err = a.findPaths(ctx)
	} else {
		err = a.findKnown(ctx)
	}
	if err != nil {
		return err
	}
	return a.journal.write(entry{Table: a.target.String(), Revision: a.rev.UUID, Path: a.rev.Path})
}

// chooseRevision takes the revision that an interrupted Add has begun, unless that came into being after all.
func (a *addition) chooseRevision(ctx context.Context) (err error) {
	e := a.journal.entry
	if a.journal.resumed && e.Table == a.target.String() {
		_, err := a.Data.Revision(ctx, a.target.Table, e.Revision)
		if errors.Is(err, fs.ErrNotExist) {
			a.rev.UUID, a.rev.Path = e.Revision, e.Path
			return nil
		}
		if err != nil {
			return err
		}
	}
	a.rev.UUID, a.rev.Path, err = datastore.NewRevision(a.target.Table)
	return err
}

// withinCommit is a context that the caller's end does not end.
func withinCommit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
}

// isConflict tells a refusal that may pass from one that will not.
func isConflict(err error) bool { return errors.Is(err, fault.ErrConflict) }
