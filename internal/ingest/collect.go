package ingest

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
)

const (
	// DefaultCollectAge is how old garbage has to be where nobody says otherwise.
	DefaultCollectAge = 24 * time.Hour
	// MinCollectAge is the least age that may be asked for: younger content may be on its way into a table.
	MinCollectAge = time.Hour

	collectPage = 500 // objects or files that one query asks for
	restFactor  = 4   // how long a gentle collector rests, in times of what it has worked
)

// CollectOptions of Collect; the zero value works.
type CollectOptions struct {
	// Before is when garbage was stored or found last, at the latest; zero is DefaultCollectAge ago. More than
	// MinCollectAge ago it has to be wherever somebody else may be adding files.
	Before time.Time
	// Since tells from when on the database knows of what is stored. What is older is never touched, so that a database
	// that was lost and made again takes nothing for garbage. It is asked once, when there is garbage. Nil is always.
	Since  func(context.Context) (time.Time, error)
	DryRun bool // remove nothing, and report what would be
	Gentle bool // work a fifth of the time
	// Report is called for each piece of garbage after it was removed. Its error ends Collect.
	Report func(Garbage) error
}

// GarbageKind says what a piece of garbage is.
type GarbageKind string

// The kinds of garbage.
const (
	GarbageObject    GarbageKind = "object"    // of a parquet table, in the object store
	GarbageFile      GarbageKind = "file"      // in the file store
	GarbageTemporary GarbageKind = "temporary" // what a process that was killed had not finished
)

// Garbage is something that is stored and that nothing names.
type Garbage struct {
	Kind    GarbageKind
	Name    string // the key, or the path of a temporary file
	Size    int64  // bytes
	ModTime time.Time
}

// Total of a kind of garbage.
type Total struct {
	Count int64
	Bytes int64
}

// Collected is what a Collect has removed, or would remove.
type Collected struct {
	Objects, Files, Temporary Total
	Unknown                   int64 // what it does not know and leaves alone: objects beside those of tables, and what is older than the database
	Busy                      int64 // garbage in revisions that somebody else has locked: the next Collect can take it
}

// collector is one Collect.
type collector struct {
	*Ingester
	o             CollectOptions
	before        time.Time       // o.Before, or earlier where somebody is adding files for longer
	objectsBefore time.Time       // that time by the clock of the object store
	paths         map[string]bool // of revisions that an Add will go on with
	abandoned     []abandonedAdd
	since         *time.Time // what o.Since has said
	got           Collected
	job           *datastore.Job // nil until it is needed
	awake         time.Time      // since when it works
}

// Collect removes what is stored and what no row names: objects of parquet tables, content of the file store, and
// temporary files that killed processes left, all of them as far as they are old enough. Adds and commits may go on
// meanwhile, also of other programs and machines. It needs memory for some hundreds of names, and for the garbage of one
// directory where it lists directories.
//
// What it does not know it leaves alone: what lies beside the revisions of tables, what has no name that Add gives, and
// tables whose active revision the database does not know. So it does what the journals of this staging directory name.
func (i *Ingester) Collect(ctx context.Context, o CollectOptions) (got Collected, err error) {
	if o.Before.IsZero() {
		o.Before = time.Now().Add(-DefaultCollectAge)
	}
	c := &collector{Ingester: i, o: o, before: o.Before, paths: map[string]bool{}, awake: time.Now()}
	defer func() { err = errors.Join(err, c.end(ctx, err)) }()
	for _, step := range []func(context.Context) error{c.findAdds, c.temporary, c.objects, c.files} {
		if err := step(ctx); err != nil {
			return c.got, err
		}
	}
	return c.got, nil
}

// end gives up what the collector holds. After a failure the journals of abandoned Adds stay.
func (c *collector) end(ctx context.Context, failed error) error {
	var errs []error
	for _, a := range c.abandoned {
		if failed == nil && !c.o.DryRun && !c.paths[a.path] {
			errs = append(errs, os.Remove(a.file.Name()))
		}
		errs = append(errs, a.file.Close())
	}
	if c.job != nil {
		errs = append(errs, c.job.End(ctx, failed))
	}
	return errors.Join(errs...)
}

// temporary removes unfinished files.
func (c *collector) temporary(ctx context.Context) error {
	for _, all := range []iter.Seq2[durable.Leftover, error]{
		c.staging.Leftovers("", false, c.before), c.Files.Leftovers(c.before), c.Objects.Leftovers(c.before),
	} {
		for left, err := range all {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if !c.o.DryRun {
				if err := os.Remove(left.Path); errors.Is(err, fs.ErrNotExist) {
					continue
				} else if err != nil {
					return err
				}
			}
			if err := c.report(&c.got.Temporary, Garbage{GarbageTemporary, left.Path, left.Size, left.ModTime}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *collector) report(total *Total, g Garbage) error {
	total.Count++
	total.Bytes += g.Size
	if c.o.Report == nil {
		return nil
	}
	return c.o.Report(g)
}

// rest keeps a gentle collector out of the way of others.
func (c *collector) rest(ctx context.Context) error {
	if !c.o.Gentle {
		return ctx.Err()
	}
	pause := time.NewTimer(restFactor * time.Since(c.awake))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
	}
	c.awake = time.Now()
	return nil
}

// known tells whether the database was there at that time.
func (c *collector) known(ctx context.Context, at time.Time) (bool, error) {
	if c.o.Since == nil {
		return true, nil
	}
	if c.since == nil {
		since, err := c.o.Since(ctx)
		if err != nil {
			return false, err
		}
		c.since = &since
	}
	return at.After(*c.since), nil
}

// knownRevision tells whether the database knows a revision, or would if it had ever been registered.
func (c *collector) knownRevision(ctx context.Context, id uuid.UUID) (bool, error) {
	known, err := c.known(ctx, time.Unix(id.Time().UnixTime()))
	if err != nil || known {
		return known, err
	}
	return c.Data.Knows(ctx, id)
}

// files removes content of the file store.
func (c *collector) files(ctx context.Context) error {
	var page []dataset.Key
	infos := map[dataset.Key]Garbage{}
	flush := func() error {
		if err := c.filesOf(ctx, page, infos); err != nil {
			return err
		}
		page = page[:0]
		clear(infos)
		return c.rest(ctx)
	}
	for info, err := range c.Files.List(ctx) {
		if err != nil {
			return err
		}
		if !info.ModTime.Before(c.before) {
			continue
		}
		known, err := c.known(ctx, info.ChangeTime)
		if err != nil {
			return err
		}
		g := Garbage{GarbageFile, info.Key.String(), info.Size, info.ModTime}
		if !known {
			g.Kind = "" // it is only counted where nobody names it
		}
		page, infos[info.Key] = append(page, info.Key), g
		if len(page) == collectPage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// filesOf removes those that nobody names.
func (c *collector) filesOf(ctx context.Context, keys []dataset.Key, infos map[dataset.Key]Garbage) error {
	unnamed, err := c.unnamed(ctx, keys...)
	if err != nil || len(unnamed) == 0 {
		return err
	}
	busy, err := c.inFlight()
	if err != nil {
		return err
	}
	for _, key := range unnamed {
		g := infos[key]
		switch {
		case g.Kind == "":
			c.got.Unknown++
			continue
		case busy[KeyScheme+key.String()]:
			continue
		case !c.o.DryRun:
			removed, err := c.Files.Collect(key, c.before, func() (bool, error) {
				still, err := c.unnamed(ctx, key)
				return len(still) == 1, err
			})
			if err != nil {
				return err
			}
			if !removed {
				continue
			}
		}
		if err := c.report(&c.got.Files, g); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) unnamed(ctx context.Context, keys ...dataset.Key) ([]dataset.Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	contents := make([]datastore.Content, len(keys))
	byURL := make(map[string]dataset.Key, len(keys))
	for n, key := range keys {
		url := KeyScheme + key.String()
		contents[n], byURL[url] = datastore.Content{URL: url, SHA256: key.Sum}, key
	}
	left, err := c.Data.UnnamedContents(ctx, contents)
	if err != nil {
		return nil, err
	}
	unnamed := make([]dataset.Key, len(left))
	for n, content := range left {
		unnamed[n] = byURL[content.URL]
	}
	return unnamed, nil
}
