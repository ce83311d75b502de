package datastore

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/parquet-go/parquet-go"
)

// loadTimeout bounds one load, which the contexts of those who wait for it do not end.
const loadTimeout = time.Minute

// Footer is the stored end of a file, read from the database alone; a file without one is fs.ErrNotExist.
func (s *Store) Footer(ctx context.Context, fileID int64) (Footer, error) {
	var f Footer
	err := s.db.QueryRow(ctx, `select f.footer_offset, c.footer from file_metadata f
		join footer_cache c on c.file_id = f.id where f.id = $1`, fileID).Scan(&f.Offset, &f.Bytes)
	if err != nil {
		return Footer{}, fmt.Errorf("footer of file %d: %w", fileID, err)
	}
	return f, nil
}

// ParquetMetadata is the parsed metadata of a file with its page indices, shared with all who ask: do not change it,
// and read no pages through it, since only the file's footer stands behind it.
//
// It comes from memory or from the stored footer, never from the object store. However many ask, one loads; who gives
// up waiting gets the context's error and disturbs nobody. Errors are not kept. fs.ErrNotExist where there is no
// footer.
func (s *Store) ParquetMetadata(ctx context.Context, fileID int64) (*parquet.File, error) {
	if f, ok := s.metadata.get(fileID); ok {
		return f, nil
	}
	load := s.loads.DoChan(strconv.FormatInt(fileID, 10), func() (any, error) {
		if f, ok := s.metadata.get(fileID); ok { // loaded since we looked
			return f, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return s.loadMetadata(ctx, fileID)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-load:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*parquet.File), nil //nolint:forcetypeassert // the group is filled above
	}
}

func (s *Store) loadMetadata(ctx context.Context, fileID int64) (*parquet.File, error) {
	footer, err := s.Footer(ctx, fileID)
	if err != nil {
		return nil, err
	}
	f, err := footer.parse()
	if err != nil {
		return nil, fmt.Errorf("footer of file %d: %w", fileID, err)
	}
	s.metadata.add(fileID, f, weigh(f, footer))
	return f, nil
}

// What parquet-go holds in memory beside the footer's bytes, by measurement, within a tenth: bytes for each file, leaf
// of the schema, column chunk, column chunk with page indices, and page in them.
const (
	fileWeight  = 2000
	leafWeight  = 600
	chunkWeight = 900
	indexWeight = 300
	pageWeight  = 140
)

// weigh estimates the memory that a parsed footer holds, which is many times the footer's length.
func weigh(f *parquet.File, footer Footer) int64 {
	weight := fileWeight + int64(len(footer.Bytes)) + int64(len(f.Schema().Columns()))*leafWeight
	for _, g := range f.Metadata().RowGroups {
		weight += int64(len(g.Columns)) * chunkWeight
	}
	for _, index := range f.OffsetIndexes() {
		weight += indexWeight + int64(len(index.PageLocations))*pageWeight
	}
	return weight
}

// metadataCache keeps what was used last within a budget of bytes.
type metadataCache struct {
	budget int64

	mu   sync.Mutex // guards the rest
	lru  *simplelru.LRU[int64, weighted]
	used int64
}

type weighted struct {
	file   *parquet.File
	weight int64
}

func newMetadataCache(budget int64) *metadataCache {
	lru, _ := simplelru.NewLRU[int64, weighted](math.MaxInt, nil) // which fails for no room at all
	return &metadataCache{budget: budget, lru: lru}
}

func (c *metadataCache) get(id int64) (*parquet.File, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.lru.Get(id)
	return w.file, ok
}

// add keeps a file unless it alone is beyond the budget.
func (c *metadataCache) add(id int64, f *parquet.File, weight int64) {
	if weight > c.budget {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.lru.Peek(id); ok {
		c.used -= old.weight
	}
	c.lru.Add(id, weighted{f, weight})
	for c.used += weight; c.used > c.budget; {
		_, w, _ := c.lru.RemoveOldest()
		c.used -= w.weight
	}
}
