package fs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/registry"
)

const (
	knownFiles     = 1 << 14 // file rows kept for an open that follows its lookup
	knownManifests = 256     // parsed manifests kept
)

// tree is the file system of one mount.
type tree struct {
	readOnly
	Backend
	opts    Options
	log     *slog.Logger
	server  *fuse.Server
	started time.Time

	nodes     *nodeTable
	handles   handles
	inodes    *backings
	blocks    *blockCache
	trim      *trimmer
	files     *lru.Cache[int64, datastore.File]
	manifests *lru.Cache[dataset.Hash, *manifest.Manifest]
	stats     stats
	writable  *writable // nil: nothing can be written
}

func newTree(b Backend, o Options) (*tree, error) {
	t := &tree{readOnly: newReadOnly(), Backend: b, opts: o, log: o.Logger, started: time.Now(), trim: newTrimmer()}
	var err error
	if t.files, err = lru.New[int64, datastore.File](knownFiles); err != nil {
		return nil, err
	}
	if t.manifests, err = lru.New[dataset.Hash, *manifest.Manifest](knownManifests); err != nil {
		return nil, err
	}
	if t.blocks, err = newBlockCache(b.Objects); err != nil {
		return nil, err
	}
	t.inodes = newBackings(t)
	root := &rootDir{t: t}
	t.nodes = newNodeTable(root, root.control(), root.control().blobs())
	return t, nil
}

// file is the row behind a kindFile inode. One query where it is not known.
func (t *tree) file(ctx context.Context, ino uint64) (datastore.File, error) {
	if f, ok := t.files.Get(idOf(ino)); ok {
		return f, nil
	}
	f, err := t.Data.File(ctx, idOf(ino))
	if err != nil {
		return datastore.File{}, err
	}
	t.files.Add(idOf(ino), f)
	return f, nil
}

// manifest is the parsed manifest; its bytes are read from the object store once, without a query.
func (t *tree) manifest(ctx context.Context, info registry.ManifestInfo) (*manifest.Manifest, error) {
	if m, ok := t.manifests.Get(info.Hash); ok {
		return m, nil
	}
	data, err := t.Registry.Content(ctx, info)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", info.Hash, err)
	}
	t.manifests.Add(info.Hash, m)
	return m, nil
}

// fileAttr are the attributes of a file of a revision.
func fileAttr(e datastore.Entry) attr {
	return attr{ino: makeIno(kindFile, e.ID), mode: modeFile, size: e.Size, mtime: e.ModTime.UnixNano()}
}
