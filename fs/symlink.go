package fs

import (
	"context"
	"time"
)

// linkNode is a symlink. One that moves is a new linkNode with a new number, since the kernel caches targets.
type linkNode struct {
	inode uint64
	to    string
	mtime time.Time
}

var _ symlink = (*linkNode)(nil)

func (l *linkNode) ino() uint64                        { return l.inode }
func (l *linkNode) target() string                     { return l.to }
func (l *linkNode) attr(context.Context) (attr, error) { return l.stat(), nil }

func (l *linkNode) stat() attr {
	return attr{ino: l.inode, mode: modeLink, size: int64(len(l.to)), mtime: l.mtime.UnixNano()}
}
