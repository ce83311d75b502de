package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
)

// openSource opens what the bytes of an inode are read from: the local file where there is one.
func (t *tree) openSource(ctx context.Context, ino uint64) (source, error) {
	if b, ok := t.nodes.get(ino).(*blobFile); ok {
		return t.openKey(b.key)
	}
	if kindOf(ino) != kindFile {
		return nil, syscall.ESTALE
	}
	f, err := t.file(ctx, ino)
	if err != nil {
		return nil, err
	}
	if key, ok := keyOf(f); ok {
		return t.openKey(key)
	}
	if path, ok := t.Objects.LocalPath(f.URL); ok {
		file, err := os.Open(path)
		if errors.Is(err, iofs.ErrNotExist) {
			return nil, fmt.Errorf("%w: the object of a registered file is gone: %w", fault.ErrCorrupt, err)
		}
		if err != nil {
			return nil, err
		}
		return &localFile{file, f.Size}, nil
	}
	return newObject(t, f), nil
}

func (t *tree) openKey(key dataset.Key) (source, error) {
	f, err := t.Files.Open(key)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not in the file store: %w", fault.ErrCorrupt, key, err)
	}
	if err != nil {
		return nil, err
	}
	return &localFile{f, key.Size}, nil
}

// size is the length in bytes of a file that is open.
func (t *tree) size(ino uint64) (uint64, error) {
	if b, ok := t.nodes.get(ino).(*blobFile); ok {
		return uint64(b.size), nil
	}
	if kindOf(ino) != kindFile {
		return 0, syscall.EINVAL
	}
	f, err := t.file(context.Background(), ino)
	return uint64(f.Size), err
}

// keyURL stands before the key in the url of a file of a files table.
const keyURL = "annex:"

// keyOf is the key of a file that lies in the file store.
func keyOf(f datastore.File) (dataset.Key, bool) {
	text, ok := strings.CutPrefix(f.URL, keyURL)
	if !ok {
		return dataset.Key{}, false
	}
	key, err := dataset.ParseKey(text)
	return key, err == nil
}
