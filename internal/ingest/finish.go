package ingest

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/datastore"
)

// finish clears up after the files were registered, whose rows these are. What fails here is left over, and nothing more.
func (p *publication) finish(ctx context.Context, rows []datastore.Registered) ([]Published, error) {
	published := make([]Published, len(p.files))
	for n := range p.files {
		s := &p.files[n]
		published[n] = s.existing
		if s.existing.ID == 0 {
			published[n] = p.became(ctx, s, rows[0])
			rows = rows[1:]
		}
		if !p.tree() && s.Replaces.ID != 0 && s.Replaces.URL != published[n].URL {
			p.dropUnnamed(ctx, p.table.target.Table, s.Replaces.URL)
		}
		p.removeStaged(ctx, s)
	}
	p.intent.remove(ctx, p.Logger)
	return published, nil
}

func (p *publication) removeStaged(ctx context.Context, s *stagedFile) {
	if err := unix.Unlink(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Logger.WarnContext(ctx, "a staged file that is published stays behind", "path", s.Path, "err", err)
	}
}

// became tells what became of a file that was registered.
func (p *publication) became(ctx context.Context, s *stagedFile, r datastore.Registered) Published {
	published := Published{ID: r.ID, URL: s.new.URL}
	if !r.Existing {
		return published
	}
	if f, err := p.Data.File(ctx, r.ID); err == nil && f.URL != s.new.URL {
		published.URL = f.URL
		p.dropUnnamed(ctx, p.table.target.Table, s.new.URL)
	}
	return published
}
