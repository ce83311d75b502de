package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
	"github.com/annexfs/annexfs/internal/objects"
)

// publication is one attempt to publish a batch.
type publication struct {
	*Ingester
	table   Table
	batch   Batch
	declare *manifest.Manifest // declares the table, and is not registered yet; nil where it is declared
	base    dataset.Hash       // that declare was made of; zero where the dataset does not exist
	rev     datastore.Revision // that is appended to; or with ID 0 a new one, of which UUID and Path are chosen
	job     *datastore.Job     // has the lock of the active revision, nil while nobody needs it
	files   []stagedFile
	intent  *intent

	believed bool // something of this was looked up for somebody else, a moment ago
	early    bool // it is acknowledged before it is committed
}

// stagedFile is a file on its way.
type stagedFile struct {
	File
	stat syscall.Stat_t
	new  datastore.NewFile
	key  dataset.Key // in a files table

	content []byte // of a small file of a files table
	aside   string // where its bytes lie instead of in staging, or ""

	existing Published // its row, where the revision has the content already; else zero
	repeats  bool      // an earlier file of the batch has the same content and will have the row
}

// stored tells whether the file's bytes go to a store.
func (s *stagedFile) stored() bool { return s.existing.ID == 0 && !s.repeats }

// lies is where the file's bytes lie.
func (s *stagedFile) lies() string { return cmp.Or(s.aside, s.Path) }

// Publish checks staged files, stores them and registers all of them in one transaction: they are durable and visible
// when it returns, and their staged names are gone. After a failure the staged files are where they were. What is said of
// an early batch is in Batch.
//
// What does not fit the table is fs.ErrInvalid, a path that has other content fs.ErrExist, a table that another living
// writer has locked fault.ErrConflict.
func (i *Ingester) Publish(ctx context.Context, t Table, b Batch) ([]Published, error) {
	if !b.Early || b.Files[0].Replaces != (Published{}) {
		if err := i.Settle(ctx); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		p := &publication{Ingester: i, table: t, batch: b, files: make([]stagedFile, len(b.Files)), believed: t.believed}
		for n, f := range b.Files {
			p.files[n].File = f
			p.files[n].Replaces = i.groups.now(f.Replaces)
		}
		published, err := p.run(ctx)
		if attempt == maxAttempts || !p.again(ctx, err) {
			return published, err
		}
		if t, err = i.Table(ctx, t.Ref); err != nil {
			return nil, err
		}
	}
}

func (p *publication) run(ctx context.Context) ([]Published, error) {
	if p.table.Kind == "" {
		if err := p.declareTable(ctx); err != nil {
			return nil, err
		}
	}
	if err := p.each(ctx, p.examine); err != nil {
		return nil, err
	}
	if err := p.establish(ctx); err != nil {
		return nil, err
	}
	release, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if p.alone() && p.files[0].content != nil { // its transaction finds what is at its path, and to move it back is cheap
		commit := p.commit
		if p.batch.Early && p.rev.ID != 0 && p.files[0].Replaces == (Published{}) {
			commit = p.commitEarly
		}
		published, err := commit(ctx)
		if errors.Is(err, fs.ErrExist) {
			err = cmp.Or(p.placeInTree(ctx, &p.files[0]), err) // which says it better
		}
		return published, err
	}
	unclaim, err := p.place(ctx)
	if err != nil {
		return nil, err
	}
	defer unclaim()
	return p.commit(ctx)
}

func (p *publication) tree() bool { return p.table.Kind == manifest.Files }

// each calls fn for all files, several at once.
func (p *publication) each(ctx context.Context, fn func(context.Context, *stagedFile) error) error {
	if len(p.files) == 1 {
		return p.one(ctx, 0, fn)
	}
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(2 * runtime.GOMAXPROCS(0))
	for n := range p.files {
		if all.Err() != nil {
			break
		}
		g.Go(func() error { return p.one(all, n, fn) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// one calls fn for a file, and says in a batch which it is that fails.
func (p *publication) one(ctx context.Context, n int, fn func(context.Context, *stagedFile) error) error {
	err := fn(ctx, &p.files[n])
	if err != nil && len(p.files) > 1 {
		err = fmt.Errorf("%s: %w", p.batch.Files[n].Name, err)
	}
	return err
}

// begin chooses the revision, and locks the active one where there is one. A single file of a files table needs no lock:
// its one transaction is enough.
func (p *publication) begin(ctx context.Context) (release func(), err error) {
	active, err := p.active(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	release = func() {}
	if active.ID != 0 && p.alone() {
		p.job, release = p.locks.join(active.ID)
	} else if active.ID != 0 {
		if p.job, release, err = p.locks.hold(ctx, active.ID); err != nil {
			return nil, err
		}
	}
	if active.ID != 0 && !p.batch.Replace {
		p.rev = active
		return release, nil
	}
	p.rev.UUID, p.rev.Path, err = datastore.NewRevision(p.table.target.Table)
	return release, err
}

// alone tells of a file of a files table that comes by itself.
func (p *publication) alone() bool { return p.tree() && len(p.files) == 1 && !p.batch.Replace }

// commit moves the bytes and registers the files. From here on the caller's context no longer ends it.
func (p *publication) commit(ctx context.Context) ([]Published, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := p.record(ctx); err != nil {
		return nil, err
	}
	return p.commitRecorded(ctx)
}

func (p *publication) commitRecorded(ctx context.Context) ([]Published, error) {
	defer p.intent.leave()
	within, cancel := withinCommit(ctx)
	defer cancel()
	var failed error // to store
	stored := sync.OnceValue(func() error {
		failed = p.storeAll(ctx)
		return failed
	})
	if p.intent.kept == nil { // else the transaction begins while the disk is flushed
		if err := stored(); err != nil {
			return nil, p.undo(within, err)
		}
	}
	rows, err := p.register(within, stored)
	if failed != nil {
		return nil, p.undo(within, failed)
	}
	if err != nil && refused(err) {
		return nil, p.undo(within, err)
	}
	if err != nil {
		if rows, err = p.settleLost(within, err); err != nil {
			return nil, err
		}
	}
	if err := p.at("registered"); err != nil {
		return nil, err
	}
	return p.finish(within, rows)
}

// storeAll stores all files, as soon as it is durable what is about to happen.
func (p *publication) storeAll(ctx context.Context) error {
	if err := p.durable(); err != nil {
		return err
	}
	if err := p.each(ctx, p.store); err != nil {
		return err
	}
	if p.tree() {
		p.stored.Store(time.Now().UnixNano())
	}
	return p.at("stored")
}

// durable returns when it is durable what is about to happen.
func (p *publication) durable() error {
	if p.intent.kept == nil {
		return nil
	}
	if err := p.intent.kept.durable(); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// store makes the bytes of a file durable where they belong.
func (p *publication) store(ctx context.Context, s *stagedFile) error {
	if !s.stored() {
		return nil
	}
	if err := p.at("store"); err != nil {
		return err
	}
	if s.content != nil {
		_, err := p.Files.Adopt(s.lies(), s.key)
		if !errors.Is(err, durable.ErrCopy) {
			return err
		}
	}
	if p.tree() {
		_, _, err := p.Files.InsertFile(ctx, s.lies(), &s.key, s.Name, true)
		return err
	}
	_, local := p.Objects.LocalPath(s.new.URL)
	info, err := p.Objects.PutFile(ctx, s.new.URL, s.Path, objects.PutOptions{Move: local, SHA256: s.new.SHA256})
	s.new.ETag, s.new.Version = info.ETag, info.Version
	return err
}

// register writes the rows of all files that have none. Before they are committed it asks stored.
func (p *publication) register(ctx context.Context, stored func() error) (rows []datastore.Registered, err error) {
	o := datastore.PublishOptions{Replace: p.batch.Replace, Create: datastore.CreateOptions{Actor: p.Actor}}
	o.Tree = p.tree()
	if followsDev(p.table.Ref) {
		o.Check = p.isDev
	}
	o.Create.UUID = p.rev.UUID
	o.Ready = stored
	var fresh []datastore.NewFile
	var done func()
	o.Remove, done = p.remove()
	defer done()
	for n := range p.files {
		if s := &p.files[n]; s.existing.ID == 0 {
			fresh = append(fresh, s.new)
		}
	}
	if len(fresh) == 0 && len(o.Remove) == 0 && !p.batch.Replace {
		return nil, nil
	}
	err = whenFree(ctx, func() (err error) {
		o.Job = p.job
		if p.job == nil && p.rev.ID != 0 {
			var release func()
			o.Job, release = p.locks.join(p.rev.ID)
			defer release()
		}
		_, rows, err = p.Data.Publish(ctx, p.table.target.Table, o, fresh)
		if isConflict(err) && !p.batch.Replace && p.moved(ctx) {
			err = errMoved
		}
		return err
	})
	p.shared.addExisting(rows)
	return rows, err
}

// remove are the rows that make way. Until done is called nobody is told that one of them is his, and where there are
// none nobody's rows make way.
func (p *publication) remove() (rows []int64, done func()) {
	for n := range p.files {
		if s := &p.files[n]; s.Replaces.ID != 0 && s.Replaces.ID != s.existing.ID {
			rows = append(rows, s.Replaces.ID)
		}
	}
	if rows == nil {
		return nil, p.shared.finding()
	}
	return p.shared.remove(rows)
}

// isDev makes sure, within the transaction, that the table is still that of `dev`.
func (p *publication) isDev(ctx context.Context, q metadb.Queryer) error {
	h, err := p.Registry.Dev(ctx, q, p.table.Ref.Reference.ID)
	if err == nil && h != p.table.target.Manifest {
		err = errMoved
	}
	return err
}

// moved reports whether another revision than the one that we know is active now.
func (p *publication) moved(ctx context.Context) bool {
	now, err := p.Data.Active(ctx, p.table.target.Table)
	if errors.Is(err, fs.ErrNotExist) {
		return p.rev.ID != 0
	}
	return err == nil && now.ID != p.rev.ID
}
