package staging

import (
	"context"
	"errors"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/annexfs/annexfs/internal/manifest"
)

// recover finishes what a crash has interrupted. A batch whose commit was undone must not look committed.
func (t *Tree) recover(ctx context.Context) error {
	if err := t.publisher.Recover(ctx); err != nil {
		return err
	}
	marks, err := filepath.Glob(filepath.Join(t.dir, "*", "*", "*", "*", "*", successName))
	if err != nil {
		return err
	}
	for _, mark := range marks {
		if err := t.recoverBatch(ctx, mark); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) recoverBatch(ctx context.Context, mark string) error {
	rel, err := filepath.Rel(t.dir, mark)
	if err != nil {
		return err
	}
	at, err := placeOf(strings.Split(rel, string(filepath.Separator)))
	if err != nil || !at.isMarker() {
		return nil //nolint:nilerr // what does not parse is nobody's batch
	}
	table, err := t.publisher.Table(ctx, at.table)
	if err != nil {
		return err
	}
	waiting, err := t.hasData(filepath.Dir(mark), table.Kind)
	if err != nil || !waiting {
		return err
	}
	return os.Remove(mark)
}

// hasData tells whether data lies in a batch.
func (t *Tree) hasData(dir string, kind manifest.TableKind) (found bool, err error) {
	errFound := errors.New("found")
	err = filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(t.dir, path)
		if err != nil {
			return err
		}
		file, err := placeOf(strings.Split(rel, string(filepath.Separator)))
		if err == nil && file.role(kind, plainly) == batched && !isReport(path) {
			return errFound
		}
		return err
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}
