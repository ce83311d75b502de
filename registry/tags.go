package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// Tag is a name for a manifest of a dataset.
type Tag struct {
	ID        int64        // the database's: a semantic version keeps it when it moves, `latest` and `dev` get a new one
	Name      string       // a semantic version, "latest" or "dev"
	Hash      dataset.Hash // what it denotes
	Target    string       // of latest the semantic version, of dev the hash, of a semantic version nothing
	CreatedAt time.Time
	UpdatedAt time.Time // when it was last set to another manifest
}

const tagColumns = `t.id, t.version, t.hash, t.target, t.created_at, t.updated_at`

// columns are where tagColumns are scanned to.
func (t *Tag) columns() []any {
	return []any{&t.ID, &t.Name, hashColumn{&t.Hash}, &t.Target, timeColumn{&t.CreatedAt}, timeColumn{&t.UpdatedAt}}
}

// follows tells whether this is one of the two tags that nobody sets.
func (t *Tag) follows() bool { return t.Name == latestTag || t.Name == devTag }

// tagsOf returns the dataset's tags in order.
func tagsOf(ctx context.Context, q metadb.Queryer, id dataset.ID) ([]Tag, error) {
	tags, err := collect(ctx, q, func(s scanner) (t Tag, err error) {
		err = s.Scan(t.columns()...)
		return t, err
	}, `SELECT `+tagColumns+` FROM dataset_tags t WHERE t.namespace = $1 AND t.name = $2`, withID(id, nil)...)
	if err != nil {
		return nil, err
	}
	return tags, sortByVersion(tags, func(t Tag) Tag { return t })
}

// SetTag makes the version denote a manifest that is linked to the dataset, else it is fs.ErrNotExist; `latest` follows.
// A version that denotes another manifest is moved only with force, else it is fault.ErrConflict; moved is the manifest
// that it denoted, and zero where nothing moved. Setting a version to what it denotes already changes nothing.
func (r *Registry) SetTag(ctx context.Context, id dataset.ID, v dataset.Version, h dataset.Hash, force bool) (moved dataset.Hash, err error) {
	err = r.edit(ctx, id, func(e *edit) error {
		moved = dataset.Hash{}
		if err := e.lock(ctx); err != nil {
			return err
		}
		if err := e.checkLinked(ctx, h); err != nil {
			return err
		}
		have, exists := e.before[v.String()]
		switch {
		case !exists:
			if err := e.insertTag(ctx, Tag{Name: v.String(), Hash: h}); err != nil {
				return err
			}
		case have.Hash == h:
			return nil
		case !force:
			return fail(fault.ErrConflict, "it denotes manifest %s already; moving it to %s must be forced", have.Hash, h)
		default:
			if err := e.moveTag(ctx, v, h); err != nil {
				return err
			}
			moved = have.Hash
		}
		e.note(metadb.ChangeTag, v.String(), h)
		return nil
	})
	if err != nil {
		return dataset.Hash{}, fmt.Errorf("set tag %s@%s: %w", id, v, err)
	}
	return moved, nil
}

func (e *edit) checkLinked(ctx context.Context, h dataset.Hash) error {
	var no int64
	err := e.queryRow(ctx, `SELECT link_no FROM dataset_manifests WHERE namespace = $1 AND name = $2 AND hash = $3`, h.String()).Scan(&no)
	if errors.Is(err, fs.ErrNotExist) {
		return notLinked(e.id, h)
	}
	return err
}

func notLinked(id dataset.ID, h dataset.Hash) error {
	return fail(fs.ErrNotExist, "manifest %s is not linked to %s", h, id)
}

func (e *edit) moveTag(ctx context.Context, v dataset.Version, h dataset.Hash) error {
	_, err := e.exec(ctx, `UPDATE dataset_tags SET hash = $4, updated_at = $5 WHERE namespace = $1 AND name = $2 AND version = $3`,
		v.String(), h.String(), e.now)
	return err
}

// DeleteTag removes the version; `latest` follows. It is success where there is no such version or dataset.
func (r *Registry) DeleteTag(ctx context.Context, id dataset.ID, v dataset.Version) error {
	err := r.edit(ctx, id, func(e *edit) error {
		if err := e.lock(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if _, exists := e.before[v.String()]; !exists {
			return nil
		}
		e.note(metadb.ChangeTag, v.String(), dataset.Hash{})
		return e.deleteTag(ctx, v.String())
	})
	if err != nil {
		return fmt.Errorf("delete tag %s@%s: %w", id, v, err)
	}
	return nil
}

// Tags lists a dataset's tags: the semantic versions by rising precedence, then `dev`, then `latest` if there is one. A
// dataset without any manifest does not exist: fs.ErrNotExist.
func (r *Registry) Tags(ctx context.Context, id dataset.ID) ([]Tag, error) {
	tags, err := tagsOf(ctx, r.db, id)
	if err != nil {
		return nil, fmt.Errorf("list the tags of %s: %w", id, err)
	}
	if len(tags) == 0 {
		return nil, noDataset(id)
	}
	return tags, nil
}

// sortByVersion sorts by the precedence of the tags, those that follow last.
func sortByVersion[T any](all []T, tag func(T) Tag) error {
	parsed := make(map[string]dataset.Version, len(all))
	for _, one := range all {
		t := tag(one)
		if t.follows() {
			continue
		}
		v, err := dataset.ParseVersion(t.Name)
		if err != nil {
			return fail(fault.ErrCorrupt, "the database holds a tag that is no version: %q", t.Name)
		}
		parsed[t.Name] = v
	}
	slices.SortFunc(all, func(a, b T) int {
		x, y := tag(a), tag(b)
		switch {
		case x.follows() && y.follows():
			return strings.Compare(x.Name, y.Name)
		case x.follows():
			return 1
		case y.follows():
			return -1
		}
		return parsed[x.Name].Compare(parsed[y.Name])
	})
	return nil
}

// versions counts the semantic versions in sorted tags, which come before the others.
func versions(tags []Tag) int {
	n := slices.IndexFunc(tags, func(t Tag) bool { return t.follows() })
	if n < 0 {
		return len(tags)
	}
	return n
}
