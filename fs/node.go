package fs

import (
	"context"
	"syscall"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
)

// attr is what stat tells of an inode, without what is the same for the whole mount.
type attr struct {
	ino   uint64
	mode  uint32 // type and permission bits
	size  int64  // bytes
	mtime int64  // nanoseconds since the epoch
}

const (
	modeDir  = syscall.S_IFDIR | 0o555
	modeFile = syscall.S_IFREG | 0o444
	modeLink = syscall.S_IFLNK | 0o777
)

// entry is one name of a directory. node is nil for a file of a revision, which its number alone stands for.
type entry struct {
	name string
	attr attr
	node node
}

// node is a directory, symlink or generated file that the kernel has been told of.
type node interface {
	ino() uint64
	// attr is the node's present attributes.
	attr(ctx context.Context) (attr, error)
}

// directory is a node with entries.
type directory interface {
	node
	// lookup finds one name. A miss is fs.ErrNotExist; errNeverExists where no future could make the name exist.
	lookup(ctx context.Context, name string) (entry, error)
	// list calls add for every listed name, in order. Names that lookup finds need not be listed.
	list(ctx context.Context, add func(entry)) error
}

// symlink is a node that readlink answers.
type symlink interface {
	node
	target() string
}

// generated is a node whose bytes the daemon makes.
type generated interface {
	node
	// content is the whole file. It must not change under one inode number unless volatile is true.
	content(ctx context.Context) ([]byte, error)
	volatile() bool
}

// member is a node that shows something of one dataset and so may have to change with it.
type member interface {
	node
	datasetID() dataset.ID
}

// cachedListing is a directory whose listing the kernel may keep while generation stays the same.
type cachedListing interface {
	directory
	listingState() *listingState
}

// nodeEntry is the entry of a node under a name, with its present attributes.
func nodeEntry(ctx context.Context, name string, n node) (entry, error) {
	a, err := n.attr(ctx)
	if err != nil {
		return entry{}, err
	}
	return entry{name: name, attr: a, node: n}, nil
}

func dirAttr(ino uint64, mtime time.Time) attr {
	return attr{ino: ino, mode: modeDir, mtime: mtime.UnixNano()}
}
