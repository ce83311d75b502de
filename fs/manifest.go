package fs

import (
	"context"

	"github.com/annexfs/annexfs/registry"
)

// manifestFile is manifest.json: the manifest's canonical bytes.
type manifestFile struct {
	t    *tree
	info registry.ManifestInfo
}

var _ generated = (*manifestFile)(nil)

func (f *manifestFile) ino() uint64                        { return makeIno(kindManifest, f.info.ID) }
func (f *manifestFile) attr(context.Context) (attr, error) { return f.stat(), nil }
func (f *manifestFile) volatile() bool                     { return false }

func (f *manifestFile) stat() attr {
	return attr{ino: f.ino(), mode: modeFile, size: f.info.Size, mtime: f.info.CreatedAt.UnixNano()}
}

func (f *manifestFile) content(ctx context.Context) ([]byte, error) {
	m, err := f.t.manifest(ctx, f.info)
	if err != nil {
		return nil, err
	}
	return m.Bytes, nil
}
