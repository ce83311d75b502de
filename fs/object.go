package fs

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/hanwen/go-fuse/v2/fuse"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/objects"
)

const (
	blockSize  = 1 << 20 // bytes of one range read
	blocksKept = 64      // blocks of all objects
)

// blockCache reads ranges of objects in whole blocks and keeps the latest; many readers of a block share one request.
type blockCache struct {
	store   *objects.Store
	blocks  *lru.Cache[blockKey, []byte]
	flights singleflight.Group
	fetched atomic.Int64 // bytes that came from the store
}

type blockKey struct {
	url   string
	index int64
}

func newBlockCache(store *objects.Store) (*blockCache, error) {
	blocks, err := lru.New[blockKey, []byte](blocksKept)
	return &blockCache{store: store, blocks: blocks}, err
}

// block is one block of an object of size bytes. A reader that gives up does not fail the others.
func (c *blockCache) block(ctx context.Context, key blockKey, size int64) ([]byte, error) {
	if data, ok := c.blocks.Get(key); ok {
		return data, nil
	}
	result := c.flights.DoChan(fmt.Sprint(key.index, key.url), func() (any, error) {
		if data, ok := c.blocks.Get(key); ok {
			return data, nil // another flight has ended since we looked
		}
		data, err := c.fetch(context.WithoutCancel(ctx), key, size)
		if err == nil {
			c.blocks.Add(key, data)
		}
		return data, err
	})
	select {
	case r := <-result:
		data, _ := r.Val.([]byte)
		return data, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *blockCache) fetch(ctx context.Context, key blockKey, size int64) ([]byte, error) {
	off := key.index * blockSize
	r, err := c.store.NewRangeReader(ctx, key.url, off, min(blockSize, size-off))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, min(blockSize, size-off))
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("reading %s at %d: %w", key.url, off, err)
	}
	c.fetched.Add(int64(len(data)))
	return data, nil
}

// object is an open file whose bytes lie in a bucket. Its footer is read from the database.
type object struct {
	t    *tree
	file datastore.File

	once   sync.Once // loads footer at the first read that wants it
	footer []byte
	err    error
}

func newObject(t *tree, f datastore.File) *object { return &object{t: t, file: f} }

func (o *object) close() error { return nil }

// read answers with the blocks themselves: they are not copied into buf, and not changed as long as anybody has them.
func (o *object) read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, error) {
	var parts [][]byte
	for n := 0; n < len(buf) && off+int64(n) < o.file.Size; {
		part, err := o.at(ctx, off+int64(n))
		if err != nil {
			return nil, err
		}
		part = part[:min(len(part), len(buf)-n)]
		parts = append(parts, part)
		n += len(part)
	}
	return fuse.ReadResultVector(parts), nil
}

// at are bytes of the file from off on, as many as one place holds.
func (o *object) at(ctx context.Context, off int64) ([]byte, error) {
	if start := o.file.FooterOffset; start > 0 && off >= start {
		o.once.Do(func() {
			f, err := o.t.Data.Footer(context.WithoutCancel(ctx), o.file.ID)
			if err == nil && int64(len(f.Bytes)) != o.file.Size-start {
				err = fmt.Errorf("%w: the footer of %s is kept with %d bytes", fault.ErrCorrupt, o.file.URL, len(f.Bytes))
			}
			o.footer, o.err = f.Bytes, err
		})
		if o.err != nil {
			return nil, o.err
		}
		return o.footer[off-start:], nil
	}
	data, err := o.t.blocks.block(ctx, blockKey{o.file.URL, off / blockSize}, o.file.Size)
	if err != nil {
		return nil, err
	}
	data = data[off%blockSize:]
	if start := o.file.FooterOffset; start > off {
		data = data[:min(int64(len(data)), start-off)]
	}
	return data, nil
}
