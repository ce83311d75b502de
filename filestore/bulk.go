package filestore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/annexfs/annexfs/internal/dataset"
)

const (
	bulkFiles   = 2000     // that are placed at once
	bulkBytes   = 64 << 20 // likewise
	bulkWorkers = 4
)

// Bulk inserts many small files with few flushes of the disk: they are copied first, made durable together, and then put
// into their places together. Its methods may be called concurrently. When a Commit fails, also one within an
// Insert, the copies that are not in their places are gone, those of other calls too: the whole bulk has failed.
type Bulk struct {
	s *Store

	mu      sync.Mutex
	waiting []waiting // guarded by mu
	bytes   int64     // of them; guarded by mu
}

// waiting is a file that is copied and not in its place.
type waiting struct {
	key  dataset.Key
	path string
}

// Bulk begins a bulk of insertions, which Commit or Discard ends.
func (s *Store) Bulk() *Bulk { return &Bulk{s: s} }

// Insert copies what r has until EOF. It is stored, as by Store.Insert, when Commit has returned, or before: now and then
// an Insert stores what was copied so far.
func (b *Bulk) Insert(ctx context.Context, r io.Reader, name string) (dataset.Key, error) {
	w, err := b.copy(ctx, r, name)
	if err != nil {
		return w.key, fmt.Errorf("insert %q: %w", name, err)
	}
	b.mu.Lock()
	b.waiting = append(b.waiting, w)
	b.bytes += w.key.Size
	full := len(b.waiting) >= bulkFiles || b.bytes >= bulkBytes
	b.mu.Unlock()
	if full {
		err = b.Commit(context.WithoutCancel(ctx)) // which is not only of this one
	}
	return w.key, err
}

func (b *Bulk) copy(ctx context.Context, r io.Reader, name string) (waiting, error) {
	f, err := b.s.tree.Create(tmpDir)
	if err != nil {
		return waiting{}, err
	}
	defer f.Discard()
	h := sha256.New()
	size, err := f.CopyFrom(ctx, r, h)
	if err != nil {
		return waiting{}, err
	}
	w := waiting{key: b.s.key(size, [sha256.Size]byte(h.Sum(nil)), name)}
	w.path, err = f.Detach()
	return w, err
}

// Commit stores what was copied so far: when it returns without an error, that is whole and durable in its place. After
// an error some of it may be.
func (b *Bulk) Commit(ctx context.Context) error {
	files := b.take()
	if len(files) == 0 {
		return nil
	}
	if err := b.store(ctx, files); err != nil {
		return errors.Join(err, remove(files))
	}
	return nil
}

// Discard removes what was copied and is not stored.
func (b *Bulk) Discard() error { return remove(b.take()) }

func (b *Bulk) take() []waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	files := b.waiting
	b.waiting, b.bytes = nil, 0
	return files
}

func (b *Bulk) store(ctx context.Context, files []waiting) error {
	if err := b.s.tree.SyncAll(); err != nil {
		return err
	}
	g, all := errgroup.WithContext(ctx)
	g.SetLimit(bulkWorkers)
	for _, w := range files {
		if all.Err() != nil {
			break
		}
		g.Go(func() error { return b.place(w) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.s.tree.SyncAll()
}

func (b *Bulk) place(w waiting) error {
	put := func(exclusive bool) error { return b.s.tree.Place(w.path, fileName(w.key), exclusive) }
	if err := put(true); !errors.Is(err, fs.ErrExist) { // else look at what is there
		return err
	}
	created, err := b.s.place(w.key, put)
	if err != nil || created {
		return err
	}
	return os.Remove(w.path) // its content was there
}

// remove removes copies, as far as they are not in their places.
func remove(files []waiting) error {
	var errs []error
	for _, w := range files {
		if err := os.Remove(w.path); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
