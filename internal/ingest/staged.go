package ingest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/objects"
)

// Table is a table that files are staged for.
type Table struct {
	Ref  dataset.TableRef
	Kind manifest.TableKind // "" where nothing declares it: its first parquet file will

	target   Target
	believed bool // that of a moment ago
}

// Batch is what becomes visible together.
type Batch struct {
	Name    string // of the batch's directory, "" for a file by itself
	Replace bool   // the table's whole content from now on, instead of an addition
	// Early has a small file of a files table answered as soon as it is durable and its place is taken, though others may
	// not see it before Settle returns. It is for one file.
	Early bool
	Files []File
}

// File is a staged file.
type File struct {
	Path     string          // where its bytes lie
	Name     string          // slash-separated, below the table or the batch
	Size     int64           // in bytes
	Stat     *syscall.Stat_t // as lstat told it a moment ago; nil where nobody has asked
	Sum      *[32]byte       // SHA-256, nil where the bytes did not come in order
	Content  []byte          // its bytes, where they are few and at hand as well as Sum, else nil
	Replaces Published       // what the same writer had published in its place before, or zero
}

// Move is a new name for a file.
type Move struct {
	Published
	Name string // slash-separated, below the table
}

// Published is a file that is in the table.
type Published struct {
	ID  int64  // of its row, never 0
	URL string // of its content: the key of an object, or KeyScheme and a file key
}

// Content is open for reading.
type Content interface {
	io.ReaderAt
	io.Closer
}

// List returns what there is to write to: the namespaces; in a namespace the names of its datasets; in a dataset (name,
// or name@version) its tables. What does not exist is fs.ErrNotExist.
func (i *Ingester) List(ctx context.Context, namespace, name string) ([]string, error) {
	var names []string
	switch {
	case namespace == "":
		all, err := i.Registry.Namespaces(ctx)
		for _, e := range all {
			names = append(names, e.Name)
		}
		return names, err
	case name == "":
		all, err := i.Registry.Datasets(ctx, dataset.Namespace(namespace))
		for _, e := range all {
			names = append(names, e.Name)
		}
		if err == nil && len(all) == 0 {
			err = fail(fs.ErrNotExist, "there is no dataset in %s", namespace)
		}
		return names, err
	}
	ref, err := dataset.ParseReference(namespace + "/" + name)
	if err != nil {
		return nil, err
	}
	_, m, err := i.manifestOf(ctx, ref.Or(dataset.Dev))
	if err != nil {
		return nil, err
	}
	for _, t := range m.Tables {
		names = append(names, string(t.Name))
	}
	return names, nil
}

// Table finds a table. One that no manifest declares yet is no error, as long as its dataset's next manifest could: it
// has no Kind.
//
// A files table may be that of a moment ago: Publish makes sure of it.
func (i *Ingester) Table(ctx context.Context, ref dataset.TableRef) (Table, error) {
	if t, _, ok := i.recent.get(ref); ok {
		t.believed = true
		return t, nil
	}
	t := Table{Ref: ref}
	h, m, err := i.manifestOf(ctx, ref.Reference.Or(dataset.Dev))
	if errors.Is(err, fs.ErrNotExist) && followsDev(ref) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	spec, ok := m.Table(ref.Table)
	if ok {
		t.Kind = spec.Kind
		t.target = Target{datastore.Table{Dataset: ref.Reference.ID, Manifest: h, Name: ref.Table}, spec}
		i.recent.put(t)
	}
	return t, nil
}

// followsDev tells whether a reference means whatever manifest was linked last.
func followsDev(ref dataset.TableRef) bool {
	return ref.Reference.Selector.IsZero() || ref.Reference.Selector.IsDev()
}

// Check judges whether a file of that size can be a parquet file of the table. name is slash-separated, below the table.
// For the errors see the function Check; what is wrong with the file is fs.ErrInvalid in any case.
func (i *Ingester) Check(_ context.Context, t Table, name string, r io.ReaderAt, size int64) error {
	_, err := checkStaged(r, size, t, path.Dir(inBatch(name)))
	return err
}

// inBatch leaves out the directories that make a batch.
func inBatch(name string) string {
	parts := strings.SplitN(name, "/", 3)
	if len(parts) == 3 && (parts[0] == "replace" || parts[0] == "append") {
		return parts[2]
	}
	return name
}

// checkStaged is Check for a file in a slash-separated directory. A table that is not declared takes any schema.
func checkStaged(r io.ReaderAt, size int64, t Table, dir string) (datastore.ParquetInfo, error) {
	spec := t.target.Spec
	keys, err := Partitions(spec, dir)
	if err != nil {
		return datastore.ParquetInfo{}, err
	}
	var info datastore.ParquetInfo
	if t.Kind == "" {
		if info, err = datastore.ReadFooter(r, size); err == nil {
			_, err = SchemaOf(info.File)
		}
	} else {
		info, err = Check(r, size, spec, keys)
	}
	if errors.Is(err, fault.ErrConflict) {
		err = &unfitError{err}
	}
	return info, err
}

// unfitError is of a file that will never fit: invalid, whatever else it is.
type unfitError struct{ error }

func (e *unfitError) Unwrap() []error { return []error{fs.ErrInvalid, e.error} }

// Register registers a manifest and links it to the dataset, which must not be named with a version.
func (i *Ingester) Register(ctx context.Context, ref dataset.Reference, data []byte) (Published, error) {
	if !ref.Selector.IsZero() && !ref.Selector.IsDev() {
		return Published{}, fail(fs.ErrInvalid, "the manifest of %s cannot be changed; copy it to manifest.json of %s, which makes it @dev", ref, ref.ID)
	}
	m, err := manifest.Parse(data)
	if err != nil {
		return Published{}, err
	}
	defer i.recent.forget()
	h, err := i.Registry.Register(ctx, m.Kind, m.Bytes)
	if err != nil {
		return Published{}, err
	}
	if err := i.Registry.Link(ctx, ref.ID, h); err != nil {
		return Published{}, err
	}
	info, err := i.Registry.Info(ctx, h)
	return Published{ID: info.ID, URL: info.Path}, err
}

// Rename gives files of a files table, which were published a moment ago, other names, in one transaction.
func (i *Ingester) Rename(ctx context.Context, t Table, moves []Move) ([]Published, error) {
	if err := i.Settle(ctx); err != nil {
		return nil, err
	}
	renamed := make([]datastore.Renamed, len(moves))
	for n, m := range moves {
		m.Published = i.groups.now(m.Published)
		renamed[n] = datastore.Renamed{ID: m.ID, Name: m.Name}
	}
	active, err := i.Data.Active(ctx, t.target.Table)
	if err != nil {
		return nil, err
	}
	defer i.shared.finding()()
	var rows []datastore.Registered
	err = whenFree(ctx, func() (err error) {
		job, release := i.locks.join(active.ID)
		defer release()
		rows, err = i.Data.Rename(ctx, t.target.Table, job, renamed)
		return err
	})
	if err != nil {
		return nil, err
	}
	i.shared.addExisting(rows)
	published := make([]Published, len(moves))
	for n, r := range rows {
		published[n] = Published{ID: r.ID, URL: moves[n].URL}
	}
	return published, nil
}

// Open opens what was published.
func (i *Ingester) Open(ctx context.Context, p Published) (Content, error) {
	c, err := i.open(ctx, p)
	if errors.Is(err, fs.ErrNotExist) && i.groups.unsettled.Load() > 0 { // it may be on its way into the store
		if err := i.Settle(ctx); err != nil {
			return nil, err
		}
		return i.open(ctx, p)
	}
	return c, err
}

func (i *Ingester) open(ctx context.Context, p Published) (Content, error) {
	if text, ok := strings.CutPrefix(p.URL, KeyScheme); ok {
		key, err := dataset.ParseKey(text)
		if err != nil {
			return nil, err
		}
		return i.Files.Open(key)
	}
	if path, ok := i.Objects.LocalPath(p.URL); ok {
		return os.Open(path)
	}
	return &remote{ctx: context.WithoutCancel(ctx), store: i.Objects, key: p.URL}, nil
}

// remote reads an object of a bucket, a range at a time.
type remote struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt has no place for one
	store *objects.Store
	key   string
}

func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	body, err := r.store.NewRangeReader(r.ctx, r.key, off, int64(len(p)))
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, errors.Join(err, body.Close())
}

func (r *remote) Close() error { return nil }

// manifestOf finds the manifest that a reference denotes.
func (i *Ingester) manifestOf(ctx context.Context, ref dataset.Reference) (dataset.Hash, *manifest.Manifest, error) {
	h, err := i.Registry.Resolve(ctx, ref)
	if err != nil {
		return h, nil, err
	}
	m, err := i.manifest(ctx, h)
	return h, m, err
}
