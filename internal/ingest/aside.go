package ingest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
)

// asidePrefix begins the names of files in intentDir that are on their way into the file store. What a crash leaves of them
// is in the spool too.
const asidePrefix = "aside-"

// storedFor is how long a store that took a file is believed to take the next. So a store that refuses tells the first of many
// files, and a single one.
const storedFor = time.Second

// setAside takes the staged name from a file whose record is durable, so that its writer need not wait until it is in the
// store: that takes a new directory for most keys, which can take a disk's file system longer than all the rest. False says
// that it has to be stored now, also where the store may refuse it, for want of room or because it took none lately: then its
// writer is to be told.
func (p *publication) setAside(s *stagedFile) bool {
	if time.Since(time.Unix(0, p.stored.Load())) > storedFor || !p.Files.HasRoomFor(s.stat.Dev) || p.at("aside") != nil {
		return false
	}
	aside := filepath.Join(p.Staging, intentDir, asidePrefix+uuid.NewString())
	if unix.Renameat2(unix.AT_FDCWD, s.Path, unix.AT_FDCWD, aside, unix.RENAME_NOREPLACE) != nil {
		return false
	}
	s.aside = aside
	return true
}

// storeAside stores the files that were set aside. mu is held, but while one is being stored.
func (g *group) storeAside(ctx context.Context) {
	for len(g.aside) > 0 {
		g.storeNext(ctx)
	}
}

func (g *group) storeNext(ctx context.Context) {
	m := g.aside[0]
	g.aside = g.aside[1:]
	g.mu.Unlock()
	err := m.storeAll(ctx)
	g.mu.Lock()
	if err == nil {
		return
	}
	m.err = err
	g.stored.Store(0)
	g.unstored = append(g.unstored, m)
	g.withdraw(ctx, m)
}

// putBack stages a file again that was acknowledged and cannot be stored.
func (m *member) putBack(ctx context.Context) {
	defer m.intent.leave()
	f := m.intent.Files[0]
	staged := filepath.Join(m.Staging, f.Staged)
	if err := f.moveBack(m.files[0].aside, staged); err != nil {
		m.spool.keep.Store(true)
		m.Logger.ErrorContext(ctx, "a file is registered when staging is opened the next time", "path", f.Name, "err", m.err, "staging it again", err)
		return
	}
	m.Logger.ErrorContext(ctx, "a file cannot be stored, and is in staging again", "table", m.intent.table().String(), "path", f.Name, "err", m.err)
	m.returned(staged, m.err)
	m.intent.remove(ctx, m.Logger)
}

// withdraw removes a file, and its row unless another file has the same. mu is held.
func (g *group) withdraw(ctx context.Context, m *member) {
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	if !g.added[m.row.ID] || slices.ContainsFunc(g.members, func(o *member) bool { return o.row.ID == m.row.ID }) {
		return
	}
	if g.adding.Remove(ctx, m.row.ID) != nil {
		g.hurry() // without it
	}
}

// removeAside removes what a crash has left of files that were set aside, when nothing is left in the spool.
func (i *Ingester) removeAside() error {
	left, err := filepath.Glob(filepath.Join(i.Staging, intentDir, asidePrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
