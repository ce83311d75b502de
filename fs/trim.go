package fs

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	trimAt    = 16 << 20    // bytes given up after which memory goes back to the system
	trimDelay = time.Second // after that; what follows at once is given back with it
	nodeBytes = 512         // about what a node takes, with its places in maps
)

// trimmer gives memory back to the system after much of it was given up. The runtime would take its time: it collects
// the garbage of a process that does nothing every two minutes, and keeps what the process once needed for two more.
type trimmer struct {
	given atomic.Int64 // bytes given up since memory last went back
	wake  chan struct{}
}

func newTrimmer() *trimmer { return &trimmer{wake: make(chan struct{}, 1)} }

// gaveUp counts bytes that nothing refers to any more.
func (m *trimmer) gaveUp(bytes int) {
	if m.given.Add(int64(bytes)) < trimAt {
		return
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run gives memory back until ctx ends.
func (m *trimmer) run(ctx context.Context) {
	for {
		select {
		case <-m.wake:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(trimDelay):
		case <-ctx.Done():
			return
		}
		if m.given.Swap(0) >= trimAt {
			debug.FreeOSMemory()
		}
	}
}
