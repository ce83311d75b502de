package fs

import (
	"context"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/internal/objects"
)

// Raw is what answers the kernel's requests.
func (s *Server) Raw() fuse.RawFileSystem { return s.tree }

// BlockCache is what stands between a mount and its bucket.
type BlockCache struct{ *blockCache }

func NewBlockCache(store *objects.Store) (BlockCache, error) {
	c, err := newBlockCache(store)
	return BlockCache{c}, err
}

// First reads the first block of an object of size bytes.
func (c BlockCache) First(ctx context.Context, url string, size int64) ([]byte, error) {
	return c.block(ctx, blockKey{url, 0}, size)
}

// Fetched is how many bytes came from the bucket.
func (c BlockCache) Fetched() int64 { return c.fetched.Load() }
