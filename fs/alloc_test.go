package fs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/fs"
)

// raw asks the daemon's file system as the kernel does, without the kernel, and allocates nothing itself.
type raw struct {
	fuse.RawFileSystem
	t      *testing.T
	cancel chan struct{}
	header fuse.InHeader
	entry  fuse.EntryOut
	attr   fuse.AttrOut
	get    fuse.GetAttrIn
	openIn fuse.OpenIn
	opened fuse.OpenOut
	readIn fuse.ReadIn
	closed fuse.ReleaseIn
}

func newRaw(t *testing.T, s *fs.Server) *raw {
	return &raw{RawFileSystem: s.Raw(), t: t, cancel: make(chan struct{})}
}

func (r *raw) ok(s fuse.Status) {
	if !s.Ok() {
		r.t.Fatal(s)
	}
}

func (r *raw) lookup(parent uint64, name string) uint64 {
	r.header.NodeId = parent
	r.ok(r.Lookup(r.cancel, &r.header, name, &r.entry))
	return r.entry.NodeId
}

func (r *raw) getAttr(ino uint64) {
	r.get.NodeId = ino
	r.ok(r.GetAttr(r.cancel, &r.get, &r.attr))
}

func (r *raw) open(ino uint64) {
	r.openIn.NodeId = ino
	r.ok(r.Open(r.cancel, &r.openIn, &r.opened))
}

func (r *raw) release(ino uint64) {
	r.closed.NodeId, r.closed.Fh = ino, 0
	r.Release(r.cancel, &r.closed)
}

func (r *raw) read(ino uint64, buf []byte) {
	r.readIn.NodeId, r.readIn.Fh, r.readIn.Offset = ino, 0, 0
	_, status := r.Read(r.cancel, &r.readIn, buf)
	r.ok(status)
}

// list reads a directory to its end and returns how many entries it has.
func (r *raw) list(ino uint64, buf []byte) (entries int) {
	r.openIn.NodeId = ino
	r.ok(r.OpenDir(r.cancel, &r.openIn, &r.opened))
	r.readIn.NodeId, r.readIn.Fh, r.readIn.Offset = ino, r.opened.Fh, 0
	for {
		l := fuse.NewDirEntryList(buf, r.readIn.Offset)
		r.ok(r.ReadDirPlus(r.cancel, &r.readIn, l))
		if l.Offset == r.readIn.Offset {
			break
		}
		r.readIn.Offset = l.Offset
		entries = int(uint32(l.Offset))
	}
	r.closed.NodeId, r.closed.Fh = ino, r.opened.Fh
	r.ReleaseDir(&r.closed)
	return entries
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	return must[os.FileInfo](t)(os.Stat(path)).Sys().(*syscall.Stat_t).Ino
}

// TestAlloc holds that an operation on a known file allocates hardly more than it did when this was written. A lookup
// is a query; the others are answered from memory.
func TestAlloc(t *testing.T) {
	passthrough, daemon := fs.Options{}, fs.Options{NoPassthrough: true}
	for _, test := range []struct {
		name string
		o    fs.Options
		most float64
		do   func(f *raw, dir, file uint64, name string, buf []byte)
	}{
		{"lookup", passthrough, 64, func(f *raw, dir, _ uint64, name string, _ []byte) { f.lookup(dir, name) }},
		{"getattr", passthrough, 2, func(f *raw, _, file uint64, _ string, _ []byte) { f.getAttr(file) }},
		{"open and release, passthrough", passthrough, 3, func(f *raw, _, file uint64, _ string, _ []byte) { f.open(file); f.release(file) }},
		{"open and release, daemon", daemon, 9, func(f *raw, _, file uint64, _ string, _ []byte) { f.open(file); f.release(file) }},
		{"read, daemon", daemon, 3, func(f *raw, _, file uint64, _ string, buf []byte) { f.read(file, buf) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepo(t)
			name := r.orders(false, string(make([]byte, 8<<10)))[0]
			mnt, s := r.mount(test.o)
			f, dir := newRaw(t, s), inode(t, filepath.Join(mnt, "acme/sales/@1.0.0/orders"))
			file, buf := f.lookup(dir, name), make([]byte, 4<<10)
			f.open(file)
			if test.o.NoPassthrough == (f.opened.OpenFlags&fuse.FOPEN_PASSTHROUGH != 0) {
				t.Skip("NOT RUN HERE: the kernel gives no passthrough")
			}
			if strings.HasPrefix(test.name, "read") {
				defer f.release(file)
			} else {
				f.release(file)
			}
			got := testing.AllocsPerRun(1000, func() { test.do(f, dir, file, name, buf) })
			t.Logf("allocations: %v", got)
			if got > test.most {
				t.Errorf("allocates %v times, want at most %v", got, test.most)
			}
		})
	}
}

// TestAlloc_List holds it for each entry of a listing, read from the database and answered with its attributes: the
// driver's own.
func TestAlloc_List(t *testing.T) {
	const n, most = 20_000, 5.5
	r := newRepo(t)
	files := make([]datastore.NewFile, n)
	for i := range files {
		files[i] = datastore.NewFile{Name: fmt.Sprintf("%09d-%016x.parquet", i, i), URL: "none", Size: 1 << 20, SHA256: [32]byte{byte(i), byte(i >> 8)}}
	}
	r.publish("orders", false, files)
	mnt, s := r.mount(fs.Options{})
	f, dir := newRaw(t, s), inode(t, filepath.Join(mnt, "acme/sales/@1.0.0/orders"))
	buf, listed := make([]byte, 64<<10), 0
	got := testing.AllocsPerRun(5, func() { listed = f.list(dir, buf) }) / n
	t.Logf("allocations for each entry: %.2f", got)
	if listed != n+2 {
		t.Errorf("listed %d entries, want %d and . and ..", listed, n)
	}
	if got > most {
		t.Errorf("allocates %.2f times for each entry, want at most %v", got, most)
	}
}
