package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/durable"
)

// Recover finishes or undoes the commits that a crash has interrupted, and takes over the locks that they had. Only who
// holds the staging directory may call it (see HoldStaging).
func (i *Ingester) Recover(ctx context.Context) error {
	n, err := i.Data.TakeOver(ctx, i.locks.kind)
	if err != nil {
		return err
	}
	if n > 0 {
		i.Logger.InfoContext(ctx, "the locks of a writer that died were taken over", "jobs", n)
	}
	i.sweep()
	// Nothing is in a spool before its last segment is made; to make it now may fail for want of room.
	info, err := os.Lstat(segmentPath(filepath.Join(i.Staging, intentDir), segments-1))
	if err == nil && info.Size() == segmentSize {
		if err := i.recoverSpool(ctx); err != nil {
			return err
		}
	}
	journals, err := filepath.Glob(filepath.Join(i.Staging, intentDir, "*.json"))
	if err != nil {
		return err
	}
	for _, path := range journals {
		if err := i.recoverIntent(ctx, path); err != nil {
			return fmt.Errorf("journal %s: %w", path, err)
		}
	}
	return nil
}

func (i *Ingester) recoverIntent(ctx context.Context, path string) error {
	in, err := readIntent(path)
	if err != nil {
		return err
	}
	if in == nil || len(in.Files) == 0 {
		return os.Remove(path)
	}
	done, err := i.registered(ctx, in)
	if err != nil {
		return err
	}
	if done {
		err = i.finishIntent(ctx, in)
	} else {
		err = i.undoIntent(ctx, in, false)
	}
	if err != nil {
		return err
	}
	i.Logger.InfoContext(ctx, "a commit that was interrupted is settled", "table", in.table().String(), "files", len(in.Files), "done", done)
	in.remove(ctx, i.Logger)
	return nil
}

// finishIntent removes staged files whose content is published.
func (i *Ingester) finishIntent(ctx context.Context, in *intent) error {
	for _, f := range in.Files {
		staged := filepath.Join(i.Staging, f.Staged)
		same, err := hasContent(ctx, staged, f)
		if err != nil {
			return err
		}
		if same {
			if err := os.Remove(staged); err != nil {
				return err
			}
		}
	}
	return nil
}

// hasContent tells whether a staged file is still what it was.
func hasContent(ctx context.Context, path string, f intended) (bool, error) {
	r, info, err := durable.OpenRegular(path, true)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	if info.Size() != f.Size {
		return false, nil
	}
	sum, _, err := hash(ctx, r)
	return sum == f.SHA256, err
}

// copyTo writes a staged file, which is whole as soon as it has its name.
func (i *Ingester) copyTo(ctx context.Context, content Content, f intended, staged string) error {
	tmp, err := i.staging.Create("")
	if err != nil {
		return err
	}
	defer tmp.Discard()
	var r io.Reader = io.NewSectionReader(content, 0, math.MaxInt64)
	if file, ok := content.(*os.File); ok {
		r = file
	}
	if _, err := tmp.CopyFrom(ctx, r, nil); err != nil {
		return err
	}
	if err := f.restore(tmp.Name()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), staged)
}

// dropUnnamed removes an object of a parquet table that no row names any more.
func (i *Ingester) dropUnnamed(ctx context.Context, t datastore.Table, url string) {
	named, err := i.Data.Named(ctx, t, url)
	if err == nil && !named {
		err = i.Objects.Delete(ctx, url)
	}
	if err != nil {
		i.Logger.WarnContext(ctx, "an object that nothing names stays behind", "key", url, "err", err)
	}
}
