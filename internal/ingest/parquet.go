package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/durable"
	"github.com/annexfs/annexfs/internal/objects"
)

// storeParquet stores the file as an object of the revision. A directory gets it in one pass: it is hashed while it is
// copied to the staging directory, and renamed into place. It is hashed first where that may save the copy, and where
// the object store is a bucket, which checks the hash of what it is sent.
func (a *addition) storeParquet(ctx context.Context, n int) (stored, error) {
	s := a.sources[n]
	f, before, err := durable.OpenRegular(s.path, false)
	if err != nil {
		return stored{}, err
	}
	defer f.Close()
	_, local := a.Objects.LocalPath(a.rev.Path + "x")
	var st stored
	if local && !a.journal.resumed && a.known.rows[before.Size()] == nil {
		st, err = a.copyIn(ctx, f, n)
	} else {
		st, err = a.hashFirst(ctx, f, n)
	}
	if err != nil {
		return stored{}, err
	}
	return st, unchanged(f, before)
}

// copyIn hashes and copies in one pass.
func (a *addition) copyIn(ctx context.Context, f *os.File, n int) (stored, error) {
	tmp, err := a.staging.Create("")
	if err != nil {
		return stored{}, err
	}
	defer tmp.Discard()
	h := sha256.New()
	size, err := tmp.CopyFrom(ctx, metered{f, a.meter}, h)
	if err != nil {
		return stored{}, err
	}
	st, first, err := a.describe(ctx, tmp, n, size, [32]byte(h.Sum(nil)))
	if err != nil || !first {
		return st, err
	}
	return st, a.put(ctx, st, tmp.Name(), true)
}

// hashFirst reads the file and copies it only where its content is new.
func (a *addition) hashFirst(ctx context.Context, f *os.File, n int) (stored, error) {
	sum, size, err := hash(ctx, f)
	if err != nil {
		return stored{}, err
	}
	defer a.meter.add(0, size)
	if row, ok, err := a.content(ctx, size, sum); err != nil || ok {
		return stored{
			source: a.sources[n], row: row.ID,
			file: datastore.NewFile{Name: row.Path, Size: size, SHA256: sum, Rows: row.Rows},
		}, err
	}
	st, first, err := a.describe(ctx, f, n, size, sum)
	if err != nil || !first {
		return st, err
	}
	if o, ok := a.known.objects[st.file.URL]; ok && o.Size == size {
		return st, nil // by an Add that was interrupted
	}
	return st, a.put(ctx, st, a.sources[n].path, false)
}

// describe judges what was hashed and names it. It reports whether nothing else of this Add has that name.
func (a *addition) describe(ctx context.Context, r io.ReaderAt, n int, size int64, sum [32]byte) (stored, bool, error) {
	s := a.sources[n]
	info, err := Check(r, size, a.target.Spec, s.keys)
	if err != nil {
		return stored{}, false, err
	}
	name := FileName(s.name, a.target.Spec.BlockColumn, info.Statistics, a.known.block+uint64(n), sum).String()
	st := stored{source: s, file: datastore.NewFile{
		Name: name, URL: a.rev.Path + name, Size: size, SHA256: sum, Rows: info.Rows,
		FooterOffset: info.Offset, Footer: info.Bytes, Statistics: info.Statistics,
	}}
	if err := a.checkFree(ctx, name); err != nil {
		return stored{}, false, err
	}
	first, err := a.names.claim(name, sum, s.path)
	return st, first, err
}

// checkFree keeps an object that the revision names from being replaced: its content is another, or content would have
// found it.
func (a *addition) checkFree(ctx context.Context, name string) error {
	if a.rev.ID == 0 {
		return nil
	}
	switch e, err := a.Data.LookupIn(ctx, a.rev.ID, name); {
	case err == nil:
		return other(e)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

func (a *addition) put(ctx context.Context, st stored, path string, move bool) error {
	_, err := a.Objects.PutFile(ctx, st.file.URL, path, objects.PutOptions{Move: move, SHA256: st.file.SHA256})
	return err
}

// unchanged refuses a file that was written to while it was read.
func unchanged(f *os.File, before os.FileInfo) error {
	after, err := f.Stat()
	if err != nil {
		return err
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return conflict("it was changed while it was read; run the command again when its writer is done")
	}
	return nil
}

// hash reads a file from its beginning.
func hash(ctx context.Context, f *os.File) (sum [32]byte, size int64, err error) {
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return sum, 0, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		if err == io.EOF {
			return [32]byte(h.Sum(nil)), size, nil
		}
		if err != nil {
			return sum, 0, err
		}
	}
}

// parseBlock reads a bound as a block number, which is not negative.
func parseBlock(bound json.RawMessage) (uint64, error) {
	n, err := strconv.ParseUint(string(bound), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("block number: %w", err)
	}
	return n, nil
}
