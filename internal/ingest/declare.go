package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/metadb"
)

// declareTable makes, of the first file, a declaration of a table that has none: it goes into a manifest that has all
// that `dev` has. Nothing is registered yet.
func (p *publication) declareTable(ctx context.Context) error {
	ref := p.table.Ref
	schema, err := p.firstSchema()
	if err != nil {
		return err
	}
	base := []byte(`{"kind": "` + manifest.KindDataset + `", "tables": {}}`)
	_, m, err := p.manifestOf(ctx, ref.Reference.Or(dataset.Dev))
	switch {
	case err == nil:
		base = m.Bytes
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if p.declare, err = withTable(base, ref.Table, schema); err != nil {
		return err
	}
	spec, _ := p.declare.Table(ref.Table)
	p.table.Kind = spec.Kind
	p.table.target = Target{datastore.Table{Dataset: ref.Reference.ID, Manifest: p.declare.Hash, Name: ref.Table}, spec}
	return nil
}

// firstSchema is the schema of the batch's first file.
func (p *publication) firstSchema() (manifest.Schema, error) {
	first := p.batch.Files[0]
	f, err := os.Open(first.Path)
	if err != nil {
		return manifest.Schema{}, err
	}
	defer f.Close()
	info, err := checkStaged(f, first.Size, p.table, path.Dir(first.Name))
	if err != nil {
		return manifest.Schema{}, err
	}
	return SchemaOf(info.File)
}

// withTable adds a parquet table to a manifest.
func withTable(base []byte, name dataset.TableName, schema manifest.Schema) (*manifest.Manifest, error) {
	var members, tables map[string]json.RawMessage
	if err := json.Unmarshal(base, &members); err != nil {
		return nil, err
	}
	if t := members["tables"]; t != nil {
		if err := json.Unmarshal(t, &tables); err != nil {
			return nil, err
		}
	}
	if tables == nil {
		tables = map[string]json.RawMessage{}
	}
	table, err := json.Marshal(struct {
		Kind   manifest.TableKind `json:"kind"`
		Schema manifest.Schema    `json:"schema"`
	}{manifest.Parquet, schema})
	if err != nil {
		return nil, err
	}
	tables[string(name)] = table
	if members["tables"], err = json.Marshal(tables); err != nil {
		return nil, err
	}
	data, err := json.Marshal(members)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("a table cannot be declared by this file: %w", err)
	}
	return m, nil
}

// establish registers and links the manifest that declares the table. Its other tables get the files that they have
// under `dev`, in the same transaction.
func (p *publication) establish(ctx context.Context) error {
	if p.declare == nil {
		return nil
	}
	id := p.table.Ref.Reference.ID
	defer p.declaring.take([]string{id.String()})()
	ctx, cancel := withinCommit(ctx)
	defer cancel()
	now, err := p.Table(ctx, p.table.Ref)
	if err != nil {
		return err
	}
	if now.Kind != "" && now.target.Manifest != p.declare.Hash {
		return errMoved // somebody has declared it meanwhile
	}
	h, err := p.Registry.Register(ctx, p.declare.Kind, p.declare.Bytes)
	if err != nil {
		return err
	}
	p.declare = nil
	_, err = p.Link(ctx, id, h, LinkOptions{Carry: true, Actor: p.Actor})
	return err
}

// LinkOptions of Link; the zero value brings no files.
type LinkOptions struct {
	Carry bool   // bring the files of tables that `dev` has with the same schema, without copying them
	Actor string // who, for the history of activations
}

// Link links a registered manifest to a dataset and makes it `dev`. It returns the tables that have no files under it and
// some, with the same schema, under the one that was `dev` before; with Carry they have these files now.
func (i *Ingester) Link(ctx context.Context, id dataset.ID, h dataset.Hash, o LinkOptions) ([]datastore.Carried, error) {
	before, err := i.Registry.Resolve(ctx, dataset.Reference{ID: id, Selector: dataset.Dev})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, i.Registry.Link(ctx, id, h)
	}
	if err != nil {
		return nil, err
	}
	if before == h {
		return nil, nil
	}
	same, err := i.sameTables(ctx, id, before, h, nil)
	if err != nil {
		return nil, err
	}
	if !o.Carry {
		return same, i.Registry.Link(ctx, id, h)
	}
	return same, i.Data.Carry(ctx, same, datastore.CarryOptions{
		Actor: o.Actor,
		First: func(ctx context.Context, tx *metadb.Tx) error { return i.Registry.LinkIn(ctx, tx, id, h, before) },
	})
}

// sameTables are the tables that have files under the one manifest and none under the other, which declares them alike.
func (i *Ingester) sameTables(ctx context.Context, id dataset.ID, from, to dataset.Hash, only []dataset.TableName) ([]datastore.Carried, error) {
	was, err := i.manifest(ctx, from)
	if err != nil {
		return nil, err
	}
	is, err := i.manifest(ctx, to)
	if err != nil {
		return nil, err
	}
	old, err := i.Data.ActiveTables(ctx, id, from)
	if err != nil {
		return nil, err
	}
	filled, err := i.Data.ActiveTables(ctx, id, to)
	if err != nil {
		return nil, err
	}
	var same []datastore.Carried
	for _, t := range is.Tables {
		w, declared := was.Table(t.Name)
		_, active := old[t.Name]
		if !declared || !active || !carries(w, t) || only != nil && !slices.Contains(only, t.Name) {
			continue
		}
		if rev, ok := filled[t.Name]; ok {
			stats, err := i.Data.Stats(ctx, rev.ID)
			if err != nil {
				return nil, err
			}
			if stats.Files > 0 {
				continue
			}
		}
		same = append(same, datastore.Carried{
			From: datastore.Table{Dataset: id, Manifest: from, Name: t.Name},
			To:   datastore.Table{Dataset: id, Manifest: to, Name: t.Name},
		})
	}
	return same, nil
}

// carries tells whether files of a table declared as from are files of one declared as to.
func carries(from, to manifest.Table) bool {
	return from.Kind == to.Kind && from.Schema.Equal(to.Schema) && slices.Equal(from.KeyColumns, to.KeyColumns)
}

// manifest reads a registered manifest.
func (i *Ingester) manifest(ctx context.Context, h dataset.Hash) (*manifest.Manifest, error) {
	if m := i.manifests.get(h); m != nil {
		return m, nil
	}
	data, err := i.Registry.Manifest(ctx, h)
	if err != nil {
		return nil, err
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", h, err)
	}
	i.manifests.put(m)
	return m, nil
}

// maxManifests bounds how many manifests are remembered.
const maxManifests = 64

// manifests remembers what manifests say, which never changes.
type manifests struct {
	mu     sync.Mutex
	byHash map[dataset.Hash]*manifest.Manifest // guarded by mu
}

func (c *manifests) get(h dataset.Hash) *manifest.Manifest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byHash[h]
}

func (c *manifests) put(m *manifest.Manifest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byHash == nil || len(c.byHash) >= maxManifests {
		c.byHash = map[dataset.Hash]*manifest.Manifest{}
	}
	c.byHash[m.Hash] = m
}

// numbers are the running numbers of files that have no block, by revision. They need not be unique.
type numbers struct {
	mu   sync.Mutex
	next map[int64]uint64 // guarded by mu
}

// runningNumbers takes as many numbers as there are files, and returns the first.
func (p *publication) runningNumbers(ctx context.Context) (uint64, error) {
	if p.rev.ID == 0 {
		return 0, nil
	}
	n := uint64(len(p.files))
	p.numbers.mu.Lock()
	defer p.numbers.mu.Unlock()
	first, ok := p.numbers.next[p.rev.ID]
	if !ok {
		for e, err := range p.Data.List(ctx, p.rev.ID, "") {
			if err != nil {
				return 0, err
			}
			if name, err := dataset.ParseFileName(e.Name); err == nil {
				first = max(first, name.Block+1)
			}
		}
	}
	if p.numbers.next == nil {
		p.numbers.next = map[int64]uint64{}
	}
	p.numbers.next[p.rev.ID] = first + n
	return first, nil
}
