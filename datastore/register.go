package datastore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/metadb"
)

// NewFile is a file to be registered: its object is written, or its key stored, already.
type NewFile struct {
	Name         string // parquet table: block-suffix.parquet; files table: the path below the table
	URL          string // key of the object in the object store, or "annex:" and the file key
	Size         int64
	ETag         string // as the object store told it
	Version      string // likewise, where objects have versions
	SHA256       [32]byte
	Rows         int64
	FooterOffset int64  // where Footer begins in the file
	Footer       []byte // the file's own last bytes, from ReadFooter; empty where it is no parquet file
	Statistics   Statistics
}

// RegisterOptions say how files are added.
type RegisterOptions struct {
	Job  *Job // the writer; nil adds only to what nobody has locked
	Tree bool // a files table: names are paths, and the same content may have several
}

// Registered is what became of a NewFile.
type Registered struct {
	ID       int64  // of its row in file_metadata
	Name     string // of that row: another than asked for where a parquet table had the content already
	Existing bool   // the row was there before, or is that of an earlier file of the same call
}

// Register adds files to a revision in one transaction, all or none, and returns their rows in the order of files.
//
// The same name with the same content is there already, and so is, unless the table is a tree, the same content under
// another name; both are success without a second row. The same name with other content is fs.ErrExist, as is a path
// of a tree that would be a file and a directory at once. A name that does not fit is fs.ErrInvalid. A revision that
// another living job has locked, and a job that does not hold the lock, are fault.ErrConflict.
func (s *Store) Register(ctx context.Context, rev Revision, o RegisterOptions, files []NewFile) ([]Registered, error) {
	b, err := newBatch(files, o.Tree)
	if err != nil {
		return nil, err
	}
	var registered []Registered
	err = s.db.Update(ctx, func(tx *metadb.Tx) error {
		rev, err := revisionWhere(ctx, tx, `p.id = $1`+tx.ForUpdate(), rev.ID)
		if err != nil {
			return err
		}
		locked := rev.Writer
		if err := s.release(ctx, tx, &rev, o.Job); err != nil {
			return err
		}
		if o.Job != nil && locked != o.Job.ID {
			return fmt.Errorf("job %d has not locked revision %s: %w", o.Job.ID, rev.UUID, fault.ErrConflict)
		}
		registered, err = b.write(ctx, tx, rev)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register in revision %s of %s: %w", rev.UUID, rev.Table, err)
	}
	return registered, nil
}

// PublishOptions say how files are published.
type PublishOptions struct {
	RegisterOptions
	Replace bool // a new revision with exactly these files, instead of adding to the active one
	// Create is of the revision that is made where one is; Job and Inactive are ignored. With a UUID, nothing is added to
	// another revision: that is fault.ErrConflict.
	Create CreateOptions
	// Remove are ids of files that make way for these in the same transaction, as far as they are in the revision.
	Remove []int64
	// Check, where there is one, is asked in the transaction once the table is locked; its error ends it. It may be asked
	// again, and must not use anything but the Queryer.
	Check func(context.Context, metadb.Queryer) error
	// Ready, where there is one, is asked last in the transaction; its error ends it. It may be asked again.
	Ready func() error
}

// Publish adds files to the active revision of t, which is made where there is none, or replaces it by a new one, in
// one transaction: a reader sees all of the files or none. Errors are those of Create and Register, but that a job
// need not hold a lock; a table whose active revision another living job has locked is fault.ErrConflict in both cases.
func (s *Store) Publish(ctx context.Context, t Table, o PublishOptions, files []NewFile) (Revision, []Registered, error) {
	b, err := newBatch(files, o.Tree)
	if err != nil {
		return Revision{}, nil, err
	}
	o.Create.Job, o.Create.Inactive = nil, false
	var rev Revision
	var created bool
	var registered []Registered
	err = s.db.Update(ctx, func(tx *metadb.Tx) error {
		var err error
		if rev, created, err = s.target(ctx, tx, t, o); err != nil {
			return err
		}
		removed, err := remove(ctx, tx, rev, o.Remove)
		if err != nil {
			return err
		}
		if registered, err = b.write(ctx, tx, rev); err != nil {
			return err
		}
		if err := prune(ctx, tx, rev.ID, removed); err != nil || o.Ready == nil {
			return err
		}
		return o.Ready()
	})
	if err != nil {
		return Revision{}, nil, fmt.Errorf("publish in %s: %w", t, err)
	}
	if created {
		s.recordActive(ctx, t)
	}
	return rev, registered, nil
}

// target is the revision to publish in: active, and locked by nobody else.
func (s *Store) target(ctx context.Context, tx *metadb.Tx, t Table, o PublishOptions) (rev Revision, created bool, err error) {
	if err := lockTable(ctx, tx, t); err != nil {
		return Revision{}, false, err
	}
	if o.Check != nil {
		if err := o.Check(ctx, tx); err != nil {
			return Revision{}, false, err
		}
	}
	rev, err = revisionWhere(ctx, tx, ofTable+` and p.active`+tx.ForUpdate(), t.args()...)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return Revision{}, false, err
	}
	if !missing {
		if err := s.release(ctx, tx, &rev, o.Job); err != nil {
			return Revision{}, false, err
		}
	} else if o.Job != nil {
		if err := o.Job.check(ctx, tx); err != nil {
			return Revision{}, false, err
		}
	}
	if !missing && !o.Replace {
		if o.Create.UUID != (uuid.UUID{}) && o.Create.UUID != rev.UUID {
			return rev, false, fmt.Errorf("revision %s is active meanwhile: %w", rev.UUID, fault.ErrConflict)
		}
		return rev, false, nil
	}
	rev, err = create(ctx, tx, t, o.Create)
	return rev, true, err
}
