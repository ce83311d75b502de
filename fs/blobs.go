package fs

import (
	"context"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
)

// blobsDir is .annexfs/blobs and its two levels of hash directories. Any file of the file store is found in the top
// directory by its key alone, and is listed where the layout puts it.
type blobsDir struct {
	t      *tree
	inode  uint64
	prefix string // "", "091" or "091/de9"
}

var _ directory = (*blobsDir)(nil)

func (d *blobsDir) ino() uint64                        { return d.inode }
func (d *blobsDir) attr(context.Context) (attr, error) { return dirAttr(d.inode, time.Unix(0, 0)), nil }

func (d *blobsDir) level() int {
	if d.prefix == "" {
		return 0
	}
	return 1 + strings.Count(d.prefix, "/")
}

func (d *blobsDir) lookup(_ context.Context, name string) (entry, error) {
	if d.level() < 2 && len(name) == 3 && strings.Trim(name, "0123456789abcdef") == "" {
		if _, err := d.t.Files.ListDir(join(d.prefix, name)); err != nil {
			return entry{}, err
		}
		return d.dir(name), nil
	}
	key, err := dataset.ParseKey(name)
	if err != nil || d.level() == 1 || (d.level() == 2 && key.HashDir() != d.prefix) {
		return entry{}, errNeverExists
	}
	info, err := d.t.Files.Stat(key)
	if err != nil {
		return entry{}, err
	}
	n := &blobFile{inode: hashIno(kindBlob, []byte(name)), key: key, size: info.Size, mtime: info.ModTime.UnixNano()}
	return entry{name, n.stat(), n}, nil
}

func (d *blobsDir) list(ctx context.Context, add func(entry)) error {
	names, err := d.t.Files.ListDir(d.prefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		if d.level() < 2 {
			add(d.dir(name))
			continue
		}
		if e, err := d.lookup(ctx, name); err == nil { // deleted since, or no key
			add(e)
		}
	}
	return nil
}

func (d *blobsDir) dir(name string) entry {
	n := &blobsDir{t: d.t, inode: pathIno(d.inode, name), prefix: join(d.prefix, name)}
	return entry{name, dirAttr(n.inode, time.Unix(0, 0)), n}
}

// blobFile is a file of the file store under its key.
type blobFile struct {
	inode uint64
	key   dataset.Key
	size  int64
	mtime int64
}

var _ node = (*blobFile)(nil)

func (f *blobFile) ino() uint64                        { return f.inode }
func (f *blobFile) attr(context.Context) (attr, error) { return f.stat(), nil }

func (f *blobFile) stat() attr {
	return attr{ino: f.inode, mode: modeFile, size: f.size, mtime: f.mtime}
}
