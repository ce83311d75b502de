package fs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// A directory offset is the handle's number above the index of the next entry: the kernel's cache of a directory
// then never continues one handle's entries with another's.
const offsetBits = 32

func (t *tree) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	t.stats.count(opOpenDir)
	d, ok := t.nodes.get(in.NodeId).(directory)
	if !ok {
		return fuse.Status(syscall.ESTALE)
	}
	if c, ok := d.(cachedListing); ok {
		fill, keep := c.listingState().opened()
		if fill {
			out.OpenFlags |= fuse.FOPEN_CACHE_DIR
		}
		if keep {
			out.OpenFlags |= fuse.FOPEN_KEEP_CACHE
		}
	}
	h := &dirHandle{dir: d}
	out.Fh = t.handles.add(h)
	h.id = out.Fh & (1<<(63-offsetBits) - 1)
	return fuse.OK
}

func (t *tree) ReleaseDir(in *fuse.ReleaseIn) {
	t.stats.count(opReleaseDir)
	h, ok := t.handles.remove(in.Fh).(*dirHandle)
	if !ok {
		return
	}
	if c, ok := h.dir.(cachedListing); ok {
		c.listingState().closed()
	}
	t.trim.gaveUp(h.close())
}

func (t *tree) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	t.stats.count(opReadDir)
	return t.readDir(cancel, in, func(d fuse.DirEntry, _ entry) bool { return out.AddDirEntry(d) })
}

// ReadDirPlus answers the attributes with the names, so that ls -l costs no request per file.
func (t *tree) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	t.stats.count(opReadDirPlus)
	return t.readDir(cancel, in, func(d fuse.DirEntry, e entry) bool {
		slot := out.AddDirLookupEntry(d)
		if slot == nil {
			return false
		}
		if e.name != "." && e.name != ".." {
			t.fillEntry(e, slot)
		}
		return true
	})
}

// readDir adds entries from the request's offset on, until add has no room. The first two are "." and "..".
func (t *tree) readDir(cancel <-chan struct{}, in *fuse.ReadIn, add func(fuse.DirEntry, entry) bool) fuse.Status {
	h, ok := t.handles.get(in.Fh).(*dirHandle)
	if !ok {
		return fuse.EBADF
	}
	l, err := settled(t, cancel, &in.InHeader, func(ctx context.Context) (*listing, error) { return h.entries(ctx, in.Offset == 0) })
	if err != nil {
		return t.status("readdir", in.NodeId, err)
	}
	for i := int(in.Offset & (1<<offsetBits - 1)); i < l.size+2; i++ {
		e := entry{name: ".", attr: attr{ino: in.NodeId, mode: modeDir}}
		switch i {
		case 0:
		case 1:
			e.name = ".."
		default:
			e = l.at(i - 2)
		}
		if !add(fuse.DirEntry{Name: e.name, Ino: e.attr.ino, Mode: e.attr.mode, Off: h.id<<offsetBits | uint64(i+1)}, e) {
			break
		}
	}
	return fuse.OK
}
