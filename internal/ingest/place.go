package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
)

// place finds out what the revision has already, and where the rest is to lie. Nobody else in this process stores
// anything there until unclaim is called.
func (p *publication) place(ctx context.Context) (unclaim func(), err error) {
	if p.tree() {
		return func() {}, p.each(ctx, p.placeInTree)
	}
	running, err := p.runningNumbers(ctx)
	if err != nil {
		return nil, err
	}
	sums := make(map[[32]byte]bool)
	for n := range p.files {
		s := &p.files[n]
		s.repeats = sums[s.new.SHA256]
		sums[s.new.SHA256] = true
		s.new.Name = FileName(path.Base(s.Name), p.table.target.Spec.BlockColumn, s.new.Statistics, running+uint64(n), s.new.SHA256).String()
		s.new.URL = p.rev.Path + s.new.Name
	}
	unclaim = p.claims.take(p.urls())
	if err := p.each(ctx, p.placeObject); err != nil {
		unclaim()
		return nil, err
	}
	return unclaim, p.checkNames()
}

func (p *publication) urls() []string {
	var urls []string
	for n := range p.files {
		urls = append(urls, p.files[n].new.URL)
	}
	return urls
}

// placeInTree finds what is at the path of a file.
func (p *publication) placeInTree(ctx context.Context, s *stagedFile) error {
	if p.rev.ID == 0 {
		return nil
	}
	defer p.shared.finding()()
	e, err := p.Data.LookupIn(ctx, p.rev.ID, s.Name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && e.ID == p.replaced(s) && !e.Dir {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Dir || e.Size != s.Size {
		return other(e)
	}
	f, err := p.Data.File(ctx, e.ID)
	if err != nil {
		return err
	}
	if f.SHA256 != s.new.SHA256 {
		return other(e)
	}
	p.found(s, f)
	return nil
}

// found notes that the revision has the content of a file.
func (p *publication) found(s *stagedFile, f datastore.File) {
	s.existing = Published{ID: f.ID, URL: f.URL}
	if s.Replaces.ID != f.ID {
		p.shared.add(f.ID)
	}
}

// placeObject finds the content of a parquet file in the revision, or makes sure that its name is free.
func (p *publication) placeObject(ctx context.Context, s *stagedFile) error {
	if p.rev.ID == 0 {
		return nil
	}
	defer p.shared.finding()()
	f, err := p.Data.Content(ctx, p.rev.ID, s.new.SHA256)
	if err == nil {
		p.found(s, f)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	e, err := p.Data.LookupIn(ctx, p.rev.ID, s.new.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case e.ID != p.replaced(s):
		return other(e)
	}
	// The object of the row that it replaces is there until the row is gone, so that another name is needed.
	name, err := dataset.ParseFileName(s.new.Name)
	if err != nil {
		return err
	}
	s.new.Name = FileName("", "", datastore.Statistics{}, name.Block, s.new.SHA256).String()
	s.new.URL = p.rev.Path + s.new.Name
	return nil
}

// checkNames refuses two files of a batch that would have one name.
func (p *publication) checkNames() error {
	var names nameSet
	for n := range p.files {
		if s := &p.files[n]; s.stored() {
			if _, err := names.claim(s.new.Name, s.new.SHA256, s.Name); err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
		}
	}
	return nil
}

// replaced is the row that a file may replace, 0 if none: a row that somebody else was told is his stays.
func (p *publication) replaced(s *stagedFile) int64 {
	if p.shared.has(s.Replaces.ID) {
		return 0
	}
	return s.Replaces.ID
}
