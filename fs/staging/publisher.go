package staging

import (
	"context"
	"io"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
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
	// when it returns, and their staged names are gone.
	Publish(ctx context.Context, t Table, b Batch) ([]Published, error)

	// Rename gives files of a files table, which were published a moment ago, other names, in one transaction.
	Rename(ctx context.Context, t Table, moves []Move) ([]Published, error)

	// Register registers a manifest and links it to the dataset.
	Register(ctx context.Context, ref dataset.Reference, data []byte) (Published, error)

	// Open opens what was published.
	Open(ctx context.Context, p Published) (Content, error)

	// Recover finishes or undoes what a crash has interrupted.
	Recover(ctx context.Context) error
}

// Table is a table that files are staged for.
type Table struct {
	Ref  dataset.TableRef
	Kind manifest.TableKind // "" where nothing declares it: its first parquet file will
	Data any                // the Publisher's own
}

// Batch is what becomes visible together.
type Batch struct {
	Name    string // of the batch's directory, "" for a file by itself
	Replace bool   // the table's whole content from now on, instead of an addition
	Files   []File
}

// File is a staged file.
type File struct {
	Path     string    // where its bytes lie
	Name     string    // slash-separated, below the table or the batch
	Size     int64     // in bytes
	Sum      *[32]byte // SHA-256, nil where the bytes did not come in order
	Replaces Published // what the same writer had published in its place before, or zero
}

// Move is a new name for a file.
type Move struct {
	Published
	Name string // slash-separated, below the table
}

// Published is a file that is in the table.
type Published struct {
	ID  int64  // of its row, never 0
	URL string // of its content, as the Publisher understands it
}

// Content is open for reading.
type Content interface {
	io.ReaderAt
	io.Closer
}
