package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"sync"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/objects"
)

// known is what is there already, as far as it may concern the files that are added.
type known struct {
	rows    map[int64][]datastore.Entry // of a parquet table: rows of the revision, by the sizes that the files have
	block   uint64                      // the first running number that is free
	paths   map[string]bool             // of a files table: those at which the revision has a file of the same size
	objects map[string]objects.Info     // that an interrupted Add has left in the revision's path
}

// findKnown reads the names and sizes of a parquet table's revision, and after an interruption the objects.
func (a *addition) findKnown(ctx context.Context) error {
	a.known.rows = make(map[int64][]datastore.Entry)
	sizes := make(map[int64]bool, len(a.sources))
	kept := false
	for _, s := range a.sources {
		sizes[s.size] = true
		_, err := dataset.ParseFileName(s.name)
		kept = kept || err == nil
	}
	if a.rev.ID != 0 {
		if kept {
			// A name that a person chose says nothing of the content: nobody else may write under it meanwhile.
			if err := a.lock(ctx); err != nil {
				return err
			}
		}
		for e, err := range a.Data.List(ctx, a.rev.ID, "") {
			if err != nil {
				return err
			}
			if name, err := dataset.ParseFileName(e.Name); err == nil {
				a.known.block = max(a.known.block, name.Block+1)
			}
			if sizes[e.Size] {
				a.known.rows[e.Size] = append(a.known.rows[e.Size], e)
			}
		}
	}
	if !a.journal.resumed {
		return nil
	}
	a.known.objects = make(map[string]objects.Info)
	for o, err := range a.Objects.List(ctx, a.rev.Path, "") {
		if err != nil {
			return err
		}
		a.known.objects[o.Key] = o
	}
	return nil
}

// findPaths reads the rows of a files table at the paths of the files, a directory at a time.
func (a *addition) findPaths(ctx context.Context) error {
	a.known.paths = make(map[string]bool)
	if a.rev.ID == 0 {
		return nil
	}
	wanted := make(map[string]map[string]source)
	for _, s := range a.sources {
		dir := path.Dir(s.name)
		if dir == "." {
			dir = ""
		}
		if wanted[dir] == nil {
			wanted[dir] = make(map[string]source)
		}
		wanted[dir][s.name] = s
	}
	var refused []error
	for dir, files := range wanted {
		for e, err := range a.Data.List(ctx, a.rev.ID, dir) {
			if err != nil {
				return err
			}
			s, ok := files[e.Path]
			if !ok {
				continue
			}
			if e.Dir || e.Size != s.size {
				refused = append(refused, s.fail(other(e)))
			}
			a.known.paths[e.Path] = true
		}
	}
	return refusal(refused)
}

// byReplacing is the way on where content would have to change.
const byReplacing = "content changes by a new revision: use --replace with all files"

// other refuses to change the content at a path.
func other(e datastore.Entry) error {
	if e.Dir {
		return fail(fs.ErrExist, "the table has a directory at %s", e.Path)
	}
	return fail(fs.ErrExist, "the table has other content at %s; %s", e.Path, byReplacing)
}

// content finds the row of a parquet table's revision that has this content.
func (a *addition) content(ctx context.Context, size int64, sum [32]byte) (datastore.File, bool, error) {
	for _, e := range a.known.rows[size] {
		f, err := a.Data.File(ctx, e.ID)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return datastore.File{}, false, err
		}
		if err == nil && f.SHA256 == sum {
			return f, true, nil
		}
	}
	return datastore.File{}, false, nil
}

// nameSet keeps two files of one Add from having one name.
type nameSet struct {
	mu    sync.Mutex
	taken map[string]claim // guarded by mu
}

type claim struct {
	sum  [32]byte
	path string
}

// claim takes a name for content. It reports whether it is the first to do so, and fs.ErrExist where the name is that
// of other content.
func (n *nameSet) claim(name string, sum [32]byte, path string) (first bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c, ok := n.taken[name]; ok {
		if c.sum != sum {
			return false, fail(fs.ErrExist, "%s has the same name and other content", c.path)
		}
		return false, nil
	}
	if n.taken == nil {
		n.taken = make(map[string]claim)
	}
	n.taken[name] = claim{sum, path}
	return true, nil
}

// all are the names that were taken.
func (n *nameSet) all() map[string]claim {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.taken
}

// FileName is the name of a parquet file in its revision: name itself where it fits; else its block is the smallest
// value of block_column by the statistics, or running where they do not tell, and its suffix the beginning of the
// content's hash.
func FileName(name, blockColumn string, s datastore.Statistics, running uint64, sum [32]byte) dataset.FileName {
	if kept, err := dataset.ParseFileName(name); err == nil {
		return kept
	}
	block := running
	if c, ok := s.Columns[blockColumn]; ok && c.Type == datastore.TypeInt {
		if n, err := parseBlock(c.Min); err == nil {
			block = n
		}
	}
	return dataset.FileName{Block: block, Suffix: binary.BigEndian.Uint64(sum[:8])}
}
