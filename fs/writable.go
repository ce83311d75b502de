package fs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/fs/staging"
)

const (
	stagingName  = "staging"
	remountDelay = 3 * time.Second
)

// writable is the staging tree of a mount. As root it is a mount of its own inside the read-only one; for an ordinary
// user its nodes are a subtree of the one mount.
type writable struct {
	tree *staging.Tree
	lock *os.File // held by the one mount of this staging directory that may write

	mu     sync.Mutex // guards what follows
	server *fuse.Server
	closed bool
	stop   chan struct{} // closed with closed
	served sync.WaitGroup
}

// openWritable opens the staging tree, finishing what a crash interrupted. nested tells that it gets a mount of its own.
func openWritable(ctx context.Context, t *tree, nested bool) (*writable, error) {
	b, o := t.Backend, t.opts
	lock, err := staging.Hold(b.StagingDir)
	if err != nil {
		return nil, err
	}
	so := staging.Options{Dir: b.StagingDir, Publisher: freshPublisher{b.Publisher, t}, Logger: o.Logger, UID: o.UID, GID: o.GID}
	if !nested {
		so.RootID, so.IDBase = inoStaging, uint64(kindStaging)<<idBits
	}
	tree, err := staging.New(ctx, so)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &writable{tree: tree, lock: lock, stop: make(chan struct{})}, nil
}

// mount mounts the tree on its directory inside the main mount, and again whenever somebody unmounts only this one.
func (w *writable) mount(point string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	server, err := fuse.NewServer(w.tree.RawFileSystem(), point, w.tree.MountOptions())
	if err != nil {
		return fmt.Errorf("mounting staging: %w", err)
	}
	w.server = server
	w.served.Add(1)
	go func() {
		defer w.served.Done()
		server.Serve()
		w.mu.Lock()
		again := !w.closed && w.server == server
		w.mu.Unlock()
		if !again {
			return
		}
		select { // who unmounted this one may be about to unmount the main mount
		case <-w.stop:
		case <-time.After(remountDelay):
			_ = w.mount(point) // fails where the main mount is gone too
		}
	}()
	return server.WaitMount()
}

// unmount ends a nested mount, if there is one. It can be mounted again.
func (w *writable) unmount() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	server := w.server
	w.server = nil
	w.mu.Unlock()
	if server == nil {
		return nil
	}
	if err := server.Unmount(); err != nil {
		w.mu.Lock()
		w.server = server
		w.mu.Unlock()
		return err
	}
	w.served.Wait()
	return nil
}

// close ends everything, after nothing is mounted any more.
func (w *writable) close() error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	w.served.Wait()
	w.tree.Close()
	return w.lock.Close()
}
