package harness

import (
	"encoding/binary"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/repo"
)

// Rows are files that are registered without objects: enough to be listed, and made a hundred thousand at a time.
type Rows struct {
	Table       string // "ns/name/table"
	Hash        string // of the manifest
	Count       int
	FooterBytes int // of each
}

// RegisterRows publishes rows as a new revision of a parquet table. It works as the user that runs the tests, so the
// repository must be theirs.
func (r *Repo) RegisterRows(rows Rows) {
	r.t.Helper()
	ctx := r.t.Context()
	for _, variable := range r.Env {
		setenv(r.t, variable)
	}
	opened, err := repo.Open(ctx, r.Dir, repo.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		if err := opened.Close(); err != nil {
			r.t.Error(err)
		}
	}()
	ref, err := dataset.ParseTableRef(rows.Table)
	if err != nil {
		r.t.Fatal(err)
	}
	hash, err := dataset.ParseHash(rows.Hash)
	if err != nil {
		r.t.Fatal(err)
	}
	table := datastore.Table{Dataset: ref.Reference.ID, Manifest: hash, Name: ref.Table}
	id, path, err := datastore.NewRevision(table)
	if err != nil {
		r.t.Fatal(err)
	}
	options := datastore.PublishOptions{Replace: true, Create: datastore.CreateOptions{UUID: id, Actor: "test"}}
	if _, _, err := opened.Data.Publish(ctx, table, options, rows.files(path)); err != nil {
		r.t.Fatal(err)
	}
}

func (rows Rows) files(path string) []datastore.NewFile {
	files := make([]datastore.NewFile, rows.Count)
	footer := make([]byte, rows.FooterBytes)
	for i := range files {
		name := dataset.FileName{Block: uint64(i), Suffix: uint64(i)}.String()
		f := datastore.NewFile{Name: name, URL: path + name, Size: 1 << 20, Rows: 1000, ETag: "none"}
		f.FooterOffset, f.Footer = f.Size-int64(len(footer)), footer
		binary.BigEndian.PutUint64(f.SHA256[:], uint64(i)+1)
		files[i] = f
	}
	return files
}
