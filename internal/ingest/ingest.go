// Package ingest is the one road into a table: it judges files by the table's declaration, hashes and stores them, and
// registers all of them in one transaction.
//
// The steps can be taken one by one: Ingester.Target finds the table, Check judges a parquet file by its footer,
// FileName names it, and Ingester.Add does all that and the rest for files and directories. Nothing is shown of files
// before all of them are stored durably.
//
// What an interrupted Add has stored stays, and the next Add to the same table goes on from there: a small journal in
// the staging directory tells it where. After a failure that is no interruption the objects are removed again; content in
// the file store is not, because somebody else may just have found it there. What is left for good Ingester.Collect
// removes.
//
// Ingester.Publish does the same for files of the staging directory, which it moves instead of copying. What it is about
// to do is on disk before the first byte moves: as a file of its own in the directory journal, and of small files, with
// their content, in a spool there. Ingester.Recover reads both, and finishes what was registered and undoes the rest.
//
// Small files that come one after another share a transaction (see group.go): each is judged by the open transaction, and
// answered when its content is durable in the spool. From then on it is stored and registered, by the commit, by
// Ingester.Close, or by the next Recover; Ingester.Settle waits for that.
package ingest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/filestore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/manifest"
	"github.com/annexfs/annexfs/internal/objects"
	"github.com/annexfs/annexfs/registry"
)

// Options of an Ingester. All stores are needed, and stay the caller's to close.
type Options struct {
	Registry *registry.Registry
	Data     *datastore.Store
	Objects  *objects.Store
	Files    *filestore.Store
	// Staging is an existing directory for copies that are not finished, best on the file system of the objects.
	Staging string
	// MaxExtension is the file store's filestore.Options.MaxExtension.
	MaxExtension int
	// Actor is who publishes what is staged, for the history of activations.
	Actor string
	// Owner names the staging directory in the table of jobs: who holds the directory takes over what is left of others
	// of this name on the same node.
	Owner string
	// Logger takes what the caller cannot be told. Nil is silence.
	Logger *slog.Logger
}

// Ingester adds files to the tables of one repository. It may be used concurrently, also by several processes.
type Ingester struct {
	Options
	staging   *durable.Tree
	manifests manifests
	locks     locks
	claims    claims
	shared    shared
	declaring claims
	numbers   numbers
	spool     spool
	recent    recent
	groups    *groups
	stored    atomic.Int64 // when the file store took a file, in nanoseconds since the epoch; 0 after it has refused one

	returned func(path string, why error)
	at       func(step string) error // tests fail here, or die; never nil
}

// New returns an Ingester; it writes nothing yet.
func New(o Options) *Ingester {
	if o.MaxExtension == 0 {
		o.MaxExtension = dataset.DefaultExtensionLength
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ingester{
		Options: o, staging: durable.New(o.Staging), locks: locks{data: o.Data, kind: "staging " + o.Owner}, groups: newGroups(),
		returned: func(string, error) {}, at: func(string) error { return nil },
	}
}

// NotifyReturned has fn called when a file that was answered early cannot be registered after all, so that it is staged
// again at that path, and why. Call it before anything else.
func (i *Ingester) NotifyReturned(fn func(path string, why error)) { i.returned = fn }

// Close releases the locks that publishing has left for the next commit. Nothing may be published any more.
func (i *Ingester) Close(ctx context.Context) error {
	i.groups.end()
	return errors.Join(i.Settle(ctx), i.locks.close(ctx), i.spool.close(i.Files.Sync))
}

// Target is a table that files are meant for.
type Target struct {
	datastore.Table
	Spec manifest.Table // as the manifest declares it
}

// Target finds the table that ref names; without a version that is the one of `dev`. fs.ErrNotExist where there is no
// such dataset, version or table; the error names the tables that there are.
func (i *Ingester) Target(ctx context.Context, ref dataset.TableRef) (Target, error) {
	at := ref.Reference.Or(dataset.Dev)
	h, m, err := i.manifestOf(ctx, at)
	if err != nil {
		return Target{}, err
	}
	spec, ok := m.Table(ref.Table)
	if !ok {
		return Target{}, fail(fs.ErrNotExist, "%s has no table %s; %s", at, ref.Table, tablesOf(m))
	}
	return Target{datastore.Table{Dataset: at.ID, Manifest: h, Name: ref.Table}, spec}, nil
}

func tablesOf(m *manifest.Manifest) string {
	var names []string
	for _, t := range m.Tables {
		names = append(names, string(t.Name))
	}
	if names == nil {
		return "its manifest declares no tables"
	}
	return "its manifest declares " + strings.Join(names, ", ")
}

// AddOptions of Add; the zero value appends.
type AddOptions struct {
	Replace  bool           // make a new revision with exactly these files, instead of adding to the active one
	Workers  int            // files at work at once; 0 is one for each CPU, and no fewer than 16
	Actor    string         // who, for the history of activations
	Progress func(Progress) // is called by one goroutine at a time, after each file and now and then within one
}

// Progress is how far an Add has come.
type Progress struct {
	Files, TotalFiles int   // done of all
	Bytes, TotalBytes int64 // read, or found to be there already, of all
}

// Result is what an Add has done.
type Result struct {
	Table    datastore.Table
	Revision datastore.Revision // active when the files were added
	Files    []Added            // in the order in which they were found
}

// Added is one file of a Result.
type Added struct {
	Path     string   // where it was found
	Name     string   // of its row
	Size     int64    // bytes
	Rows     int64    // of a parquet file
	SHA256   [32]byte // of the content
	Key      string   // of a file of a files table
	Existing bool     // the revision had it already, or the same command has it twice
}
