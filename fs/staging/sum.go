package staging

import (
	"crypto/sha256"
	"hash"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	keptBytes  = 64 << 10 // of a file that is no longer than that, for who publishes it
	hashAtOnce = 1 << 20  // the first bytes of a file, which are hashed while they are at hand
	hashChunk  = 1 << 20  // bytes read back at a time beyond that
	writeBack  = 8 << 20  // bytes after which the disk is told to begin
)

// running is the SHA-256 of what was written so far to a file, as long as it comes in order from the first byte. A large
// file is hashed behind the writer's back, from the page cache, so that two processors share the work.
type running struct {
	file *os.File

	mu     sync.Mutex
	caught sync.Cond // done has reached end, or lost; its lock is mu
	// guarded by mu
	hash hash.Hash
	kept []byte // the bytes themselves, as long as they are few and somebody writes
	done int64  // bytes hashed
	end  int64  // bytes written in order
	busy bool   // follow is at work, and alone with hash, done and buf
	buf  []byte // hashChunk, once there is more than hashAtOnce
	lost bool
}

func newRunning(f *os.File) *running {
	r := &running{file: f, hash: sha256.New()}
	r.caught.L = &r.mu
	return r
}

// write notes that p was written at off. A nil running notes nothing.
func (r *running) write(off int64, p []byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost || off != r.end {
		r.lost = true
		return
	}
	r.end += int64(len(p))
	if r.end <= keptBytes {
		r.kept = append(r.kept, p...)
	} else {
		r.kept = nil
	}
	switch {
	case r.busy:
	case r.done == off && r.end <= hashAtOnce:
		r.hash.Write(p)
		r.done = r.end
	default:
		r.busy = true
		go r.follow()
	}
}

// follow hashes what was written until nothing is left. sumOf or stop wait for it.
func (r *running) follow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		r.buf = make([]byte, hashChunk)
	}
	for !r.lost && r.done < r.end {
		at, n := r.done, min(r.end-r.done, hashChunk)
		r.mu.Unlock()
		read, err := r.file.ReadAt(r.buf[:n], at)
		if err == nil {
			r.hash.Write(r.buf[:n])
		}
		if done := at + n; done/writeBack > at/writeBack {
			// Only to begin early: what has to be durable is synced by who stores it.
			_ = unix.SyncFileRange(int(r.file.Fd()), done/writeBack*writeBack-writeBack, writeBack, unix.SYNC_FILE_RANGE_WRITE)
		}
		r.mu.Lock()
		r.done += int64(read)
		r.lost = r.lost || err != nil
	}
	r.busy = false
	r.caught.Broadcast()
}

// truncate notes a new size; below what was written the hash is lost.
func (r *running) truncate(size int64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = r.lost || size < r.end
}

// sumOf is the hash of a file of that size, nil where it is not known.
func (r *running) sumOf(size int64) *[32]byte {
	if !r.inOrder(size) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.busy {
		r.caught.Wait()
	}
	if r.lost {
		return nil
	}
	return (*[32]byte)(r.hash.Sum(nil))
}

// contentOf is what a small file of that size holds, nil where that is not known.
func (r *running) contentOf(size int64) []byte {
	if !r.inOrder(size) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if int64(len(r.kept)) != size {
		return nil // what was written before it was opened again is not kept
	}
	return slices.Clip(r.kept)
}

// inOrder tells whether a file of that size was written in order.
func (r *running) inOrder(size int64) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.lost && r.end == size
}

// stop ends what goes on behind the writer's back, and keeps no more than the hash: many files may wait for their batch.
func (r *running) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = nil
	for r.busy {
		r.lost = true
		r.caught.Wait()
	}
}
