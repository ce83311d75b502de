package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// What the kernel's FUSE itself takes: the mount is read-only, everything is cached for ever, no permissions are checked, and
// the daemon is asked for nothing but content that the kernel has not. Where it is not asked for that either, no file system
// in user space does the same work in less, beyond noise.
const (
	barePassed = "bare FUSE, passed through"
	bareCached = "bare FUSE, page cache"
)

// bareOf is the bare file system to compare a target with, or "".
func bareOf(target string) string {
	switch target {
	case annexfsRoot:
		return barePassed
	case annexfsUser:
		return bareCached
	}
	return ""
}

// inBare tells whether a row is work that no daemon need hear of, or only to read what is not cached.
func (r Row) inBare() bool {
	switch r.work {
	case "read", "pread", "mmap", "stat":
		return true
	}
	return r.table == tableQueries && r.n == 1
}

// bareNode is a file or directory behind a FUSE mount; what is cached is read from the kernel's page cache.
type bareNode struct {
	*fs.LoopbackNode
	cached bool
}

// WrapChild makes a bareNode of each node.
func (n *bareNode) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	if loopback, ok := ops.(*fs.LoopbackNode); ok {
		return &bareNode{loopback, n.cached}
	}
	return ops
}

// bareFile hides that the kernel could read the file by itself.
type bareFile struct {
	fs.FileReader
	fs.FileReleaser
}

func (n *bareNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	file, _, errno := n.LoopbackNode.Open(ctx, flags)
	if loopback, ok := file.(*fs.LoopbackFile); ok && n.cached {
		return bareFile{loopback, loopback}, fuse.FOPEN_KEEP_CACHE, errno
	}
	return file, 0, errno
}

// serveBare is the work "bare": it mounts j.Tree on j.Dir until ctx ends.
func serveBare(ctx context.Context, j job) error {
	data := &fs.LoopbackRoot{Path: j.Tree}
	root := &bareNode{&fs.LoopbackNode{RootData: data}, j.Cached}
	data.RootNode = root
	ever := 24 * time.Hour
	server, err := fs.Mount(j.Dir, root, &fs.Options{
		AttrTimeout: &ever, EntryTimeout: &ever, NullPermissions: true,
		MountOptions: fuse.MountOptions{AllowOther: true, Name: "bare", FsName: "bare", DisableXAttrs: true, MaxReadAhead: 1 << 20, Options: []string{"ro"}},
	})
	if err != nil {
		return fmt.Errorf("mounting %s: %w", j.Dir, err)
	}
	context.AfterFunc(ctx, func() { _ = server.Unmount() }) // if it is in use, stop detaches it
	server.Wait()
	return nil
}

// bareTable sets annexfs beside the bare file systems.
func (r report) bareTable(b *strings.Builder) {
	header := []string{"work"}
	for _, name := range r.annexfs() {
		header = append(header, bareOf(name)+", to plain files", name+", to that")
	}
	var lines [][]string
	for _, row := range r.Rows {
		if cells, ok := row.besideBare(r.annexfs()); ok {
			lines = append(lines, append([]string{row.Name}, cells...))
		}
	}
	if lines == nil {
		return
	}
	b.WriteString(`
What the kernel takes by itself: a bare FUSE file system (go-fuse's loopback library, told that all may be cached for ever,
on a read-only mount without permission checks) asks its daemon for nothing in warm work: what it takes there more than the plain
files, within the noise, no file system in user space can save. Cold, and not passed through, its daemon brings the content, which
another may do faster. Beside its ratio to the plain files, annexfs' ratio to it:

`)
	writeRow(b, header)
	writeRow(b, slices.Repeat([]string{"---"}, len(header)))
	for _, cells := range lines {
		writeRow(b, cells)
	}
}

// besideBare are the cells of a row, and false where nothing was measured.
func (r Result) besideBare(targets []string) (cells []string, ok bool) {
	for _, name := range targets {
		for _, pair := range [][2]string{{bareOf(name), plainName}, {name, bareOf(name)}} {
			s, measured := r.ratiosTo(pair[0], pair[1])
			if !measured {
				cells = append(cells, "NOT RUN")
				continue
			}
			cells, ok = append(cells, fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.min, s.max)), true
		}
	}
	return cells, ok
}
