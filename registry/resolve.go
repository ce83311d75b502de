package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/annexfs/annexfs/internal/dataset"
)

// Resolve returns the manifest that the reference denotes now; one without a version means `latest`. A hash is found only
// where that manifest is linked to that very dataset. What is missing is fs.ErrNotExist: the dataset, the version, or, as
// long as a dataset has no semantic version, `latest`, in which case the error names the ways on.
func (r *Registry) Resolve(ctx context.Context, ref dataset.Reference) (dataset.Hash, error) {
	v, err := r.Version(ctx, ref.ID, ref.Selector)
	if err == nil {
		return v.Hash, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Only now, where a person waits for an answer, is it worth asking whether the dataset itself is missing.
		if _, err := r.Dataset(ctx, ref.ID); err != nil {
			return dataset.Hash{}, fmt.Errorf("resolve %s: %w", ref, err)
		}
	}
	return dataset.Hash{}, fmt.Errorf("resolve %s: %w", ref, err)
}

// missing says that the dataset has no such version, and what to do about it.
func missing(id dataset.ID, sel dataset.Selector) error {
	if h, ok := sel.Hash(); ok {
		return notLinked(id, h)
	}
	if v, ok := sel.Version(); ok {
		return fail(fs.ErrNotExist, "%s has no version %s", id, v)
	}
	if sel.IsDev() {
		return noDataset(id)
	}
	return fail(fs.ErrNotExist, "%s has no semantic version yet, so there is no latest: use %s@dev, or set a tag (annexfs tag set %s VERSION)", id, id, id)
}
