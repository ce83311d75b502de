package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
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
		base, p.base = m.Bytes, m.Hash
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
	h, err := p.Registry.Register(ctx, p.declare.Kind, p.declare.Bytes)
	if err != nil {
		return err
	}
	p.declare = nil
	_, err = p.Link(ctx, id, h, LinkOptions{Carry: true, Actor: p.Actor, expected: &p.base})
	if isConflict(err) {
		return errMoved // somebody has linked another manifest, which may declare the table
	}
	return err
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
