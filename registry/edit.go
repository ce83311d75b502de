package registry

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

// edit changes one dataset within a transaction that holds the dataset's row.
type edit struct {
	tx      *metadb.Tx
	id      dataset.ID
	now     int64
	before  map[string]Tag // by name, as they were when the row was locked
	changes []metadb.Change
}

// edit runs fn in a transaction. If fn notes changes, `latest` and `dev` follow them and all of it is recorded. fn locks
// the dataset's row before anything else, and may be run again, so it sets what it returns anew each time.
func (r *Registry) edit(ctx context.Context, id dataset.ID, fn func(*edit) error) error {
	return r.db.Update(ctx, func(tx *metadb.Tx) error { return editIn(ctx, tx, id, fn) })
}

// editIn is edit in a transaction of the caller's.
func editIn(ctx context.Context, tx *metadb.Tx, id dataset.ID, fn func(*edit) error) error {
	e := &edit{tx: tx, id: id, now: metadb.Micros(time.Now())}
	if err := fn(e); err != nil || len(e.changes) == 0 {
		return err
	}
	if err := e.follow(ctx); err != nil {
		return err
	}
	if err := e.touch(ctx); err != nil {
		return err
	}
	tx.Record(e.changes...)
	return nil
}

// lock holds the row of the dataset, fs.ErrNotExist if there is none, and remembers the tags.
func (e *edit) lock(ctx context.Context) error {
	if err := e.hold(ctx); err != nil {
		return err
	}
	return e.remember(ctx)
}

func (e *edit) hold(ctx context.Context) error {
	var id int64
	err := e.queryRow(ctx, `SELECT id FROM datasets WHERE namespace = $1 AND name = $2`+e.tx.ForUpdate()).Scan(&id)
	if errors.Is(err, fs.ErrNotExist) {
		return noDataset(e.id)
	}
	return err
}

// lockForLink holds the row of the dataset, which it makes if there is none, and returns the next link's number.
func (e *edit) lockForLink(ctx context.Context) (no int64, err error) {
	err = e.queryRow(ctx, `INSERT INTO datasets (namespace, name, links, created_at) VALUES ($1, $2, 1, $3)
		ON CONFLICT (namespace, name) DO UPDATE SET links = datasets.links + 1 RETURNING links`, e.now).Scan(&no)
	if err != nil {
		return 0, err
	}
	return no, e.remember(ctx)
}

func (e *edit) remember(ctx context.Context) error {
	tags, err := tagsOf(ctx, e.tx, e.id)
	e.before = make(map[string]Tag, len(tags))
	for _, t := range tags {
		e.before[t.Name] = t
	}
	return err
}

// queryRow and exec run a statement whose first two arguments are the dataset's namespace and name.
func (e *edit) queryRow(ctx context.Context, sql string, args ...any) *metadb.Row {
	return e.tx.QueryRow(ctx, sql, withID(e.id, args)...)
}

func (e *edit) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return e.tx.Exec(ctx, sql, withID(e.id, args)...)
}

func withID(id dataset.ID, args []any) []any {
	return append([]any{string(id.Namespace), string(id.Name)}, args...)
}

func noDataset(id dataset.ID) error {
	return fail(fs.ErrNotExist, "there is no dataset %s", id)
}

// note adds a change of the dataset to what is recorded; h is zero where a tag is gone.
func (e *edit) note(kind metadb.ChangeKind, version string, h dataset.Hash) {
	c := metadb.Change{Kind: kind, Namespace: string(e.id.Namespace), Name: string(e.id.Name), Version: version}
	if !h.IsZero() {
		c.Hash = h.String()
	}
	e.changes = append(e.changes, c)
}

// follow makes `latest` and `dev` right again.
func (e *edit) follow(ctx context.Context) error {
	tags, err := tagsOf(ctx, e.tx, e.id)
	if err != nil {
		return err
	}
	latest := Tag{Name: latestTag}
	if n := versions(tags); n > 0 {
		latest.Target, latest.Hash = tags[n-1].Name, tags[n-1].Hash
	}
	dev := Tag{Name: devTag}
	err = e.queryRow(ctx, `SELECT hash, hash FROM dataset_manifests WHERE namespace = $1 AND name = $2
		ORDER BY link_no DESC LIMIT 1`).Scan(hashColumn{&dev.Hash}, &dev.Target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := e.point(ctx, latest); err != nil {
		return err
	}
	return e.point(ctx, dev)
}

// touch dates the change. The date is a directory's, so it always rises, whatever the clocks say.
func (e *edit) touch(ctx context.Context) error {
	_, err := e.exec(ctx, `UPDATE datasets SET updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at + 1 END
		WHERE namespace = $1 AND name = $2`, e.now)
	return err
}

// point makes a tag that follows denote what it should, nothing if its target is empty. One that moves becomes a new
// row: its id is the number of an inode, which never becomes another's.
func (e *edit) point(ctx context.Context, want Tag) error {
	have, exists := e.before[want.Name]
	if have.Target == want.Target && have.Hash == want.Hash {
		return nil
	}
	e.note(metadb.ChangeTag, want.Name, want.Hash)
	if exists {
		if err := e.deleteTag(ctx, want.Name); err != nil {
			return err
		}
	}
	if want.Target == "" {
		return nil
	}
	return e.insertTag(ctx, want)
}

func (e *edit) insertTag(ctx context.Context, t Tag) error {
	_, err := e.exec(ctx, `INSERT INTO dataset_tags (namespace, name, version, hash, target, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, t.Name, t.Hash.String(), t.Target, e.now, e.now)
	return err
}

func (e *edit) deleteTag(ctx context.Context, name string) error {
	_, err := e.exec(ctx, `DELETE FROM dataset_tags WHERE namespace = $1 AND name = $2 AND version = $3`, name)
	return err
}
