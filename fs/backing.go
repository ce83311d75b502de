package fs

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// idleBackings bounds the closed files that keep their registration with the kernel, so that the next open of a known
// file costs one request and no system call.
const idleBackings = 2048

// backing is what an open inode is read from. Whether it is passed through is decided once and holds until the last
// close: the kernel answers EIO to an inode opened both ways.
type backing struct {
	source      source
	passthrough bool
	id          int32 // the kernel's number, where passed through

	opens int // guarded by backings.mu
	ready chan struct{}
	err   error
}

// source is where bytes come from: a local file or an object in a bucket.
type source interface {
	read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, error)
	close() error
}

// backings are the inodes that are open, and some that were.
type backings struct {
	t    *tree
	mu   sync.Mutex
	open map[uint64]*backing
	idle *simplelru.LRU[uint64, *backing]
	// disabled is set where the kernel refuses this process: passthrough takes CAP_SYS_ADMIN.
	disabled bool
	quiet    []*noatimeView // of the directories that local files lie in
}

func newBackings(t *tree) *backings {
	b := &backings{t: t, open: map[uint64]*backing{}, disabled: t.opts.NoPassthrough}
	b.idle, _ = simplelru.NewLRU[uint64, *backing](idleBackings, nil) // fails only for a size below one
	if !b.disabled && nested() {
		b.openViews()
	}
	return b
}

// openViews makes reads that are passed through cheaper where it can.
func (s *backings) openViews() {
	dirs := []string{s.t.Files.Dir()}
	if dir, ok := s.t.Objects.Dir(); ok {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		v, err := newNoatimeView(dir)
		if err != nil {
			s.t.log.Debug("reading keeps note of access times", "dir", dir, "err", err)
			continue
		}
		s.quiet = append(s.quiet, v)
	}
}

// close frees what newBackings took, when nothing is served any more.
func (s *backings) close() {
	for _, v := range s.quiet {
		_ = v.close() // nothing was written through it
	}
}

// register has the kernel read f by itself.
func (s *backings) register(f *os.File) (int32, syscall.Errno) {
	for _, v := range s.quiet {
		if again := v.reopen(f); again != nil {
			defer again.Close()
			f = again
			break
		}
	}
	return s.t.server.RegisterBackingFd(&fuse.BackingMap{Fd: int32(f.Fd())})
}

// acquire counts one open of ino. Opens of one inode at the same time wait for the first.
func (s *backings) acquire(ctx context.Context, ino uint64) (*backing, error) {
	s.mu.Lock()
	b := s.open[ino]
	if b == nil {
		if kept, ok := s.idle.Peek(ino); ok {
			s.idle.Remove(ino)
			b, s.open[ino] = kept, kept
		}
	}
	if b != nil {
		b.opens++
		s.mu.Unlock()
		<-b.ready
		if b.err != nil {
			s.release(ino)
		}
		return b, b.err
	}
	b = &backing{opens: 1, ready: make(chan struct{})}
	s.open[ino] = b
	s.mu.Unlock()

	b.err = s.prepare(ctx, ino, b)
	close(b.ready)
	if b.err != nil {
		s.release(ino)
	}
	return b, b.err
}

func (s *backings) get(ino uint64) *backing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[ino]
}

// release counts one close. After the last a passed-through file waits for the next open; others are closed.
func (s *backings) release(ino uint64) {
	s.mu.Lock()
	b := s.open[ino]
	if b == nil {
		s.mu.Unlock()
		return
	}
	if b.opens--; b.opens > 0 {
		s.mu.Unlock()
		return
	}
	delete(s.open, ino)
	if b.passthrough {
		var oldest *backing
		if s.idle.Len() == idleBackings {
			_, oldest, _ = s.idle.RemoveOldest()
		}
		s.idle.Add(ino, b)
		b = oldest
	}
	s.mu.Unlock()
	s.discard(b)
}

// discard frees what no open uses any more.
func (s *backings) discard(b *backing) {
	if b == nil {
		return
	}
	if b.passthrough {
		_ = s.t.server.UnregisterBackingFd(b.id) // the kernel has dropped it otherwise
	}
	if b.source != nil {
		_ = b.source.close() // read only: nothing can be lost
	}
}

func (s *backings) prepare(ctx context.Context, ino uint64, b *backing) error {
	src, err := s.t.openSource(ctx, ino)
	if err != nil {
		return err
	}
	b.source = src
	local, ok := src.(*localFile)
	if !ok || s.off() {
		return nil
	}
	s.t.stats.backingOpens.Add(1)
	id, errno := s.register(local.f)
	switch {
	case errno == 0:
		b.passthrough, b.id, b.source = true, id, nil
		return local.close() // the kernel holds the file by itself
	case errors.Is(errno, syscall.EPERM), errors.Is(errno, syscall.EOPNOTSUPP), errors.Is(errno, syscall.ENOTTY):
		s.mu.Lock()
		s.disabled = true
		s.mu.Unlock()
	default:
		s.t.stats.backingFailures.Add(1)
	}
	return nil
}

func (s *backings) off() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disabled
}

// counts are for status.json.
func (s *backings) counts() (open, idle int, passthrough bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open), s.idle.Len(), !s.disabled
}

// read reads through the daemon.
func (b *backing) read(ctx context.Context, buf []byte, off int64) (fuse.ReadResult, error) {
	if b.source == nil { // the kernel reads this one itself
		return nil, syscall.EIO
	}
	return b.source.read(ctx, buf, off)
}

// localFile is read by the daemon where the kernel may not do it itself.
type localFile struct {
	f    *os.File
	size int64
}

// read copies into buf. A splice would save that copy and take a tenth longer: whatever goes through one of go-fuse's pipes
// wakes the runtime's poller, which waits for timers and inotify, on a core that the reader wants.
func (l *localFile) read(_ context.Context, buf []byte, off int64) (fuse.ReadResult, error) {
	n, err := l.f.ReadAt(buf[:max(0, min(int64(len(buf)), l.size-off))], off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return fuse.ReadResultVector([][]byte{buf[:n]}), nil // go-fuse makes a pipe in vain for ReadResultData
}

func (l *localFile) close() error { return l.f.Close() }
