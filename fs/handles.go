package fs

import (
	"context"
	"sync"
)

// handles are the open directories and generated files, by the number that the kernel sends back.
type handles struct {
	mu   sync.Mutex
	last uint64
	open map[uint64]any
}

func (h *handles) add(v any) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		h.open = map[uint64]any{}
	}
	h.last++
	h.open[h.last] = v
	return h.last
}

func (h *handles) get(fh uint64) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open[fh]
}

func (h *handles) remove(fh uint64) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := h.open[fh]
	delete(h.open, fh)
	return v
}

func (h *handles) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// dirHandle is an open directory: its listing is read at the first request and stays as it was.
type dirHandle struct {
	dir directory
	id  uint64 // tells this handle's directory offsets from another's

	mu      sync.Mutex // one reader loads the listing, the others of this handle wait
	listing *listing
}

// entries are the listing from offset 0 anew (rewinddir sees changes), or the one that is being read.
func (h *dirHandle) entries(ctx context.Context, rewind bool) (*listing, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listing == nil || rewind {
		l, err := readListing(ctx, h.dir)
		if err != nil {
			return nil, err
		}
		h.listing = l
	}
	return h.listing, nil
}

// close gives up the listing and tells about how many bytes it took.
func (h *dirHandle) close() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	size := h.listing.bytes()
	h.listing = nil
	return size
}
