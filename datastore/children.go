package datastore

import (
	"context"
	"sync"
	"time"

	"github.com/annexfs/annexfs/internal/metadb"
)

const (
	maxChildren = 4096 // that are remembered of one revision
	maxListed   = 1000 // that are read of one directory
	maxKnown    = 8    // revisions of which something is remembered
)

// children are what directories of one revision of a tree hold, each all of it, so that a file on its way there can be
// judged without a question. It is true as long as the revision's UpdatedAt is what it was.
type children struct {
	at    time.Time
	dirs  map[string]map[string]child // by path and name; nil is a directory that holds more than is remembered
	names int
	last  *string // the directory of the file that was written last
}

// child is a file, or without id a directory.
type child struct {
	id  int64
	sum string
}

func (c *children) forget() { c.dirs, c.names, c.last = map[string]map[string]child{}, 0, nil }

// put remembers a name in a directory of which all names are.
func (c *children) put(dir, name string, what child) {
	if c.names >= maxChildren {
		c.forget()
		return
	}
	holds := c.dirs[dir]
	if holds == nil {
		return
	}
	if _, ok := holds[name]; !ok {
		c.names++
	}
	holds[name] = what
}

func (c *children) remove(name string) {
	dir, base := splitPath(name)
	if _, ok := c.dirs[dir][base]; ok {
		delete(c.dirs[dir], base)
		c.names--
	}
}

// added remembers a file that was written, and whether its directory was made for it.
func (c *children) added(name string, what child, made bool) {
	dir, base := splitPath(name)
	at := dir
	c.last = &at
	if made {
		c.dirs[dir] = map[string]child{}
	}
	c.put(dir, base, what)
	for dir != "" && made {
		dir, base = splitPath(dir)
		if _, ok := c.dirs[dir][base]; !ok {
			c.put(dir, base, child{})
		}
	}
}

// list remembers what a directory, which is there, holds.
func (c *children) list(ctx context.Context, tx *metadb.Tx, location int64, dir string) error {
	files := map[string]child{}
	for r, err := range stream(ctx, tx, scanRow, `select id, file_name, sha256 from file_metadata
		where location_id = $1 and dir = $2 order by file_name limit $3`, location, dir, maxListed+1) {
		if err != nil {
			return err
		}
		_, base := splitPath(r.name)
		files[base] = child{r.id, r.sum}
	}
	for name, err := range stream(ctx, tx, scanName, `select name from file_directories
		where location_id = $1 and dir = $2 order by name limit $3`, location, dir, maxListed+1) {
		if err != nil {
			return err
		}
		files[name] = child{}
	}
	if len(files) > maxListed {
		c.dirs[dir] = nil
		return nil
	}
	if c.names+len(files) > maxChildren {
		c.forget()
	}
	c.dirs[dir] = files
	c.names += len(files)
	return nil
}

func scanName(s scanner) (name string, err error) {
	err = s.Scan(&name)
	return name, err
}

// knownChildren are those of the revisions that files were appended to last. Who takes some is alone with it.
type knownChildren struct {
	mu  sync.Mutex
	all map[int64]*children // guarded by mu
}

// take returns what is still true of a revision that nobody else can change now.
func (k *knownChildren) take(rev Revision) *children {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.all[rev.ID]
	delete(k.all, rev.ID)
	if c == nil || !c.at.Equal(rev.UpdatedAt) {
		c = &children{}
		c.forget()
	}
	return c
}

func (k *knownChildren) put(location int64, c *children) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= maxKnown {
		k.all = map[int64]*children{}
	}
	k.all[location] = c
}
