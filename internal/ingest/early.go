package ingest

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/annexfs/annexfs/datastore"
)

// commitEarly registers a small file in a group, and returns before that is committed.
func (p *publication) commitEarly(ctx context.Context) ([]Published, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.early = true
	if err := p.record(ctx); err != nil {
		return nil, err
	}
	if p.intent.kept == nil { // there was no room in the spool
		return p.commitRecorded(ctx)
	}
	within, cancel := withinCommit(ctx)
	defer cancel()
	published, err := p.join(within)
	if err != nil {
		defer p.intent.leave()
		return nil, p.undo(within, err)
	}
	return []Published{published}, nil
}

// join adds the file to a group and makes it durable.
func (p *publication) join(ctx context.Context) (Published, error) {
	found := sync.OnceFunc(p.shared.finding())
	defer found()
	g, err := p.enter(ctx)
	var m *member
	if err == nil {
		defer g.leave()
		m, err = g.add(ctx, p)
	}
	if isConflict(err) && p.moved(ctx) {
		err = errMoved
	}
	if err != nil {
		return Published{}, err
	}
	p.shared.addExisting([]datastore.Registered{m.row})
	found()
	if err := p.leaveStaging(ctx, g, m); err != nil {
		g.takeBack(ctx, m)
		return Published{}, err
	}
	return p.became(ctx, &p.files[0], m.row), nil
}

// leaveStaging makes the file durable, and has it stored, now or later.
func (p *publication) leaveStaging(ctx context.Context, g *group, m *member) error {
	s := &p.files[0]
	if err := p.durable(); err != nil {
		return err
	}
	if p.setAside(s) {
		g.storeLater(m)
		return nil
	}
	if err := p.storeAll(ctx); err != nil {
		return err
	}
	p.removeStaged(ctx, s)
	return nil
}

// settle ends what is left to do for a file that was acknowledged, which cause has kept from being registered, if any.
func (m *member) settle(ctx context.Context, cause error) {
	defer m.intent.leave()
	row := m.row
	if cause != nil {
		m.Logger.WarnContext(ctx, "a file is registered later", "table", m.intent.table().String(), "path", m.files[0].Name, "err", cause)
		var err error
		if row, err = m.redo(ctx, m.groups.ending, m.intent); err != nil {
			m.spool.keep.Store(true)
			m.Logger.ErrorContext(ctx, "a file is registered when staging is opened the next time", "path", m.files[0].Name, "err", err)
			return
		}
	}
	if row.ID != 0 && row.ID != m.told {
		m.groups.renumber(Published{ID: m.told, URL: m.files[0].new.URL}, row.ID)
	}
	m.intent.remove(ctx, m.Logger)
}

func (s *groups) renumber(p Published, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved[p] = id
}

// redo registers a file whose content is durable, and which was acknowledged, or may have been. It tries until that
// succeeds or ending ends. Where it cannot be, because somebody else has taken its place meanwhile, it is put back into
// staging, and there is no row.
func (i *Ingester) redo(ctx, ending context.Context, in *intent) (datastore.Registered, error) {
	for wait := lockRetry; ; wait = min(2*wait, time.Second) {
		err := i.at("redo")
		var row datastore.Registered
		if err == nil {
			if row, err = i.registerAgain(ctx, in); err == nil {
				return row, nil
			}
		}
		if refused(err) && !isConflict(err) {
			i.Logger.ErrorContext(ctx, "a file cannot be registered any more, and is in staging again", "table", in.table().String(),
				"path", in.Files[0].Name, "staged", in.Files[0].Staged, "err", err)
			if undone := i.undoIntent(ctx, in, false); undone != nil {
				return datastore.Registered{}, undone
			}
			i.returned(filepath.Join(i.Staging, in.Files[0].Staged), err)
			return datastore.Registered{}, nil
		}
		select {
		case <-time.After(wait):
		case <-ending.Done():
			return datastore.Registered{}, err
		}
	}
}

// redoEarly is redo after a crash.
func (i *Ingester) redoEarly(ctx context.Context, in *intent) error {
	ending, cancel := context.WithTimeout(ctx, redoWait)
	defer cancel()
	row, err := i.redo(ctx, ending, in)
	if err != nil || row.ID == 0 {
		return err
	}
	return i.finishIntent(ctx, in)
}

// redoWait is how long the database may take for one file, and a start in all, to register what was acknowledged.
const redoWait = 30 * time.Second

// registerAgain registers the file of a spool's record in the revision that it was meant for, be it active or not.
func (i *Ingester) registerAgain(ctx context.Context, in *intent) (datastore.Registered, error) {
	ctx, cancel := context.WithTimeout(ctx, redoWait)
	defer cancel()
	rev, err := i.Data.Revision(ctx, in.table(), in.Revision)
	if err != nil {
		return datastore.Registered{}, err
	}
	job, release := i.locks.join(rev.ID)
	defer release()
	f := in.Files[0]
	rows, err := i.Data.Register(ctx, rev, datastore.RegisterOptions{Job: job, Tree: true}, []datastore.NewFile{{
		Name: f.Name, URL: f.URL, Size: f.Size, SHA256: f.SHA256, Statistics: datastore.Statistics{Keys: f.Keys},
	}})
	if err != nil {
		return datastore.Registered{}, err
	}
	return rows[0], nil
}
