package ingest

import (
	"context"
	"path"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

// storeFile stores a file of a files table in the file store. It is hashed while it is copied, or first, where that may
// save the copy.
func (a *addition) storeFile(ctx context.Context, n int) (stored, error) {
	s := a.sources[n]
	f, before, err := durable.OpenRegular(s.path, false)
	if err != nil {
		return stored{}, err
	}
	defer f.Close()
	known := a.known.paths[s.name] // with that size
	var key dataset.Key
	if !known && !a.journal.resumed {
		if r := (metered{f, a.meter}); s.size <= smallFile {
			key, err = a.bulk.Insert(ctx, r, s.name)
		} else {
			key, _, err = a.Files.Insert(ctx, r, s.name)
		}
		if err != nil {
			return stored{}, err
		}
		return a.fileOf(s, key), unchanged(f, before)
	}
	sum, size, err := hash(ctx, f)
	if err != nil {
		return stored{}, err
	}
	defer a.meter.add(0, size)
	key = dataset.Key{Size: size, Sum: sum, Ext: dataset.Extension(path.Base(s.name), a.MaxExtension)}
	if known && a.Files.Refresh(key) == nil {
		return a.fileOf(s, key), unchanged(f, before) // the row says that it was made durable
	}
	if key, _, err = a.Files.InsertFile(ctx, s.path, &key, s.name, false); err != nil {
		return stored{}, err
	}
	return a.fileOf(s, key), unchanged(f, before)
}

func (a *addition) fileOf(s source, key dataset.Key) stored {
	return stored{source: s, key: key.String(), file: datastore.NewFile{
		Name: s.name, URL: KeyScheme + key.String(), Size: key.Size, SHA256: key.Sum,
		Statistics: datastore.Statistics{Keys: s.keys},
	}}
}

// KeyScheme begins the url of a row whose content lies in the file store.
const KeyScheme = "annex:"
