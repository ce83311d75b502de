package ingest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/objects"
)

// claimTime is how long the collector keeps writers from a revision at a stretch: less than they wait.
const claimTime = lockWait / 4

// objects removes those of parquet tables.
func (c *collector) objects(ctx context.Context) error {
	c.objectsBefore = c.before
	if _, local := c.Objects.LocalPath("x"); !local && c.before.Before(c.o.Before) {
		c.objectsBefore = c.before.Add(-clockSkew)
	}
	return c.dirs(ctx, "", func(namespace string) error {
		ns, err := dataset.ParseNamespace(namespace)
		if err != nil {
			return nil //nolint:nilerr // no table is below it
		}
		return c.dirs(ctx, namespace+"/", func(name string) error {
			n, err := dataset.ParseName(name)
			if err != nil {
				return nil //nolint:nilerr // likewise
			}
			prefix := namespace + "/" + name + "/"
			return c.dirs(ctx, prefix, func(table string) error {
				t, err := dataset.ParseTableName(table)
				if err != nil {
					return nil //nolint:nilerr // likewise
				}
				all := &tableObjects{collector: c, prefix: prefix + table + "/"}
				all.table = datastore.Table{Dataset: dataset.ID{Namespace: ns, Name: n}, Name: t}
				return all.collect(ctx)
			})
		})
	})
}

// dirs calls fn with the names of the directories below a prefix.
func (c *collector) dirs(ctx context.Context, prefix string, fn func(name string) error) error {
	for o, err := range c.Objects.List(ctx, prefix, "/") {
		if err == nil && o.Dir {
			err = fn(strings.TrimSuffix(o.Key[len(prefix):], "/"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tableObjects are the objects of one table.
type tableObjects struct {
	*collector
	table   datastore.Table // under whichever manifest
	prefix  string
	records []string // names of the objects that say which revisions are active
	checked bool     // whether the database knows what they name
	foreign bool     // it does not
}

func (t *tableObjects) collect(ctx context.Context) error {
	var revisions []uuid.UUID
	for o, err := range t.Objects.List(ctx, t.prefix, "/") {
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(o.Key[len(t.prefix):], "/")
		id, err := uuid.Parse(name)
		switch {
		case o.Dir && err == nil && id.Version() == 7 && id.String() == name:
			revisions = append(revisions, id)
		case o.Dir:
			if err := t.countUnknown(ctx, o.Key); err != nil {
				return err
			}
		case datastore.IsRecord(name):
			t.records = append(t.records, name)
		default:
			t.got.Unknown++
		}
	}
	for _, id := range revisions {
		if err := t.revision(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableObjects) countUnknown(ctx context.Context, prefix string) error {
	for _, err := range t.Objects.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		t.got.Unknown++
	}
	return nil
}

// revision goes through the objects of a revision.
func (t *tableObjects) revision(ctx context.Context, id uuid.UUID) error {
	path := t.prefix + id.String() + "/"
	if t.paths[path] {
		return nil
	}
	var page []objects.Info
	flush := func() error {
		err := t.page(ctx, id, page)
		page = page[:0]
		return errors.Join(err, t.rest(ctx))
	}
	young := false
	for o, err := range t.Objects.List(ctx, path, "") {
		if err != nil {
			return err
		}
		_, notOurs := dataset.ParseFileName(o.Key[len(path):])
		switch {
		case notOurs != nil:
			t.got.Unknown++
		case !o.ModTime.Before(t.objectsBefore):
			young = true
		default:
			page = append(page, o)
		}
		if len(page) == collectPage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if young {
		t.paths[path] = true // the journal that names it stays
	}
	return flush()
}

// page removes those objects of a revision that nobody names.
func (t *tableObjects) page(ctx context.Context, id uuid.UUID, page []objects.Info) error {
	if len(page) == 0 {
		return nil
	}
	path := t.prefix + id.String() + "/"
	names := make([]string, len(page))
	infos := make(map[string]objects.Info, len(page))
	for n, o := range page {
		names[n] = o.Key[len(path):]
		infos[names[n]] = o
	}
	names, err := t.Data.UnnamedObjects(ctx, t.table, id, names)
	if err != nil || len(names) == 0 {
		return err
	}
	ours, err := t.ours(ctx, id)
	if err != nil {
		return err
	}
	if !ours {
		t.got.Unknown += int64(len(names))
		return nil
	}
	busy, err := t.inFlight()
	if err != nil {
		return err
	}
	var garbage []objects.Info
	for _, name := range names {
		if o := infos[name]; !busy[o.Key] {
			garbage = append(garbage, o)
		}
	}
	return t.remove(ctx, id, garbage)
}

// ours tells whether the database is the one that garbage in a revision would be registered in.
func (t *tableObjects) ours(ctx context.Context, id uuid.UUID) (bool, error) {
	for _, name := range t.records {
		if t.checked || t.foreign {
			break
		}
		known, err := t.Data.KnowsRecord(ctx, t.table, name)
		if err != nil {
			return false, err
		}
		t.foreign = !known
	}
	t.checked = true
	if t.foreign {
		return false, nil
	}
	return t.knownRevision(ctx, id)
}

// remove removes garbage from a revision, in which nobody can register anything meanwhile.
func (t *tableObjects) remove(ctx context.Context, id uuid.UUID, garbage []objects.Info) error {
	for len(garbage) > 0 {
		if t.o.DryRun {
			return t.removeFor(ctx, &garbage, nil)
		}
		if err := t.startJob(ctx); err != nil {
			return err
		}
		claim, err := t.Data.Claim(ctx, t.table, id, t.job)
		if isConflict(err) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			t.got.Busy += int64(len(garbage))
			t.paths[t.prefix+id.String()+"/"] = true
			return nil
		}
		if err != nil {
			return err
		}
		deadline := time.Now().Add(claimTime)
		err = t.removeFor(ctx, &garbage, &deadline)
		if err = errors.Join(err, t.Data.Unclaim(ctx, claim, t.job)); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) startJob(ctx context.Context) (err error) {
	if c.job != nil {
		return nil
	}
	if err := c.Data.DropClaims(ctx); err != nil {
		return err
	}
	c.job, err = c.Data.StartJob(ctx, datastore.CollectorKind)
	return err
}

// removeFor takes pieces of garbage from the list and removes them, until all are gone or the time is over.
func (t *tableObjects) removeFor(ctx context.Context, garbage *[]objects.Info, deadline *time.Time) error {
	for len(*garbage) > 0 && (deadline == nil || time.Now().Before(*deadline)) {
		o := (*garbage)[0]
		*garbage = (*garbage)[1:]
		is, err := t.isGarbage(ctx, o.Key)
		if err == nil && is && !t.o.DryRun {
			err = t.Objects.Delete(ctx, o.Key)
		}
		if err == nil && is {
			err = t.report(&t.got.Objects, Garbage{GarbageObject, o.Key, o.Size, o.ModTime})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isGarbage asks once more.
func (t *tableObjects) isGarbage(ctx context.Context, key string) (bool, error) {
	now, err := t.Objects.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !now.ModTime.Before(t.objectsBefore) {
		return false, err
	}
	named, err := t.Data.Named(ctx, t.table, key)
	return !named && err == nil, err
}
