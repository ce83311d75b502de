package staging

import (
	"context"
	"io"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/ingest"
)

// Publisher is what staging hands finished files to. Its methods may be called concurrently. An error's kind decides
// the errno that the program sees (see errno.go), its text is what the user reads in <file>.error. What has failed has
// changed nothing: the staged files are where they were.
type Publisher interface {
	// List returns what there is to write to: the namespaces; in a namespace the names of its datasets; in a dataset
	// (name, or name@version) its tables. What does not exist is fs.ErrNotExist.
	List(ctx context.Context, namespace, name string) ([]string, error)

	// Table finds a table. One that no manifest declares yet is no error: it has no Kind.
	Table(ctx context.Context, ref dataset.TableRef) (Table, error)

	// Check judges whether a file of that size can be a parquet file of the table.
	Check(ctx context.Context, t Table, name string, r io.ReaderAt, size int64) error

	// Publish checks files, stores them and registers all of them in one transaction: they are durable and visible
	// when it returns, and their staged names are gone. An early batch is visible when Settle returns.
	Publish(ctx context.Context, t Table, b Batch) ([]Published, error)

	// Settle waits until what Publish has answered early is visible.
	Settle(ctx context.Context) error

	// NotifyReturned has fn called when a file that was answered early cannot be registered after all, so that it is
	// staged again at that path, and why. It is called before anything else.
	NotifyReturned(fn func(path string, why error))

	// Rename gives files of a files table, which were published a moment ago, other names, in one transaction.
	Rename(ctx context.Context, t Table, moves []Move) ([]Published, error)

	// Register registers a manifest and links it to the dataset.
	Register(ctx context.Context, ref dataset.Reference, data []byte) (Published, error)

	// Open opens what was published.
	Open(ctx context.Context, p Published) (Content, error)

	// Recover finishes or undoes what a crash has interrupted.
	Recover(ctx context.Context) error
}

// The types of what is published are those of the one road into a table.
type (
	Table     = ingest.Table
	Batch     = ingest.Batch
	File      = ingest.File
	Move      = ingest.Move
	Published = ingest.Published
	Content   = ingest.Content
)

var _ Publisher = (*ingest.Ingester)(nil)
