package datastore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/metadb"
)

// batch is a set of files to be added to one revision at once.
type batch struct {
	files []NewFile
	first []int // for each of files the one of which it is a repetition, or itself
	tree  bool
	dirs  []string // of a tree: all directories above the files
	json  []string // statistics
}

// newBatch checks what can be checked without asking.
func newBatch(files []NewFile, tree bool) (*batch, error) {
	b := &batch{files: files, tree: tree, first: make([]int, len(files)), json: make([]string, len(files))}
	byName, bySum := make(map[string]int, len(files)), make(map[[32]byte]int, len(files))
	for i, f := range files {
		if err := checkName(f.Name, tree); err != nil {
			return nil, err
		}
		statistics, err := json.Marshal(f.Statistics)
		if err != nil {
			return nil, fmt.Errorf("statistics of %s: %w", f.Name, err)
		}
		b.json[i], b.first[i] = string(statistics), i
		if first, ok := byName[f.Name]; ok {
			if files[first].SHA256 != f.SHA256 {
				return nil, fmt.Errorf("%s twice with different content: %w", f.Name, fs.ErrExist)
			}
			b.first[i] = b.first[first]
			continue
		}
		byName[f.Name] = i
		if first, ok := bySum[f.SHA256]; ok && !tree {
			b.first[i] = first
			continue
		}
		bySum[f.SHA256] = i
	}
	if !tree {
		return b, nil
	}
	var err error
	b.dirs, err = directories(byName)
	return b, err
}

// write adds the batch to a revision whose row is locked, in a table whose lock the writer has or does not need, and
// tells of it.
func (b *batch) write(ctx context.Context, tx *metadb.Tx, rev Revision) ([]Registered, error) {
	registered, err := b.add(ctx, tx, rev)
	if err != nil {
		return nil, err
	}
	_, err = spanOf(registered).announce(ctx, tx, rev)
	return registered, err
}

// add adds the batch as write does.
func (b *batch) add(ctx context.Context, tx *metadb.Tx, rev Revision) ([]Registered, error) {
	if b.tree && len(b.files) == 1 {
		r, _, err := b.addOne(ctx, tx, rev)
		return []Registered{r}, err
	}
	known, err := b.known(ctx, tx, rev.ID)
	if err != nil {
		return nil, err
	}
	var fresh []int
	registered := make([]Registered, len(b.files))
	for i, f := range b.files {
		old, ok := known.byName[f.Name]
		if ok && old.sum != dataset.Hash(f.SHA256).String() {
			return nil, otherContent(old)
		}
		if !ok && !b.tree {
			old, ok = known.bySum[dataset.Hash(f.SHA256).String()]
		}
		switch {
		case ok:
			registered[i] = Registered{ID: old.id, Name: old.name, Existing: true}
		case b.first[i] == i:
			fresh = append(fresh, i)
		}
	}
	if len(fresh) == 0 {
		return registered, nil
	}
	if err := b.insert(ctx, tx, rev, fresh, registered); err != nil {
		return nil, err
	}
	for i, first := range b.first {
		if registered[i].ID == 0 {
			registered[i] = registered[first]
			registered[i].Existing = true
		}
	}
	return registered, nil
}

// span is from the first to the last id of new files; 0 where there are none.
type span struct{ first, last int64 }

func spanOf(registered []Registered) *span {
	s := &span{}
	for _, r := range registered {
		if !r.Existing {
			s.include(r.ID)
		}
	}
	return s
}

func (s *span) include(id int64) {
	if s.first == 0 {
		s.first = id
	}
	s.first, s.last = min(s.first, id), max(s.last, id)
}

// announce says that a revision has new files, if there are any, and when it was changed.
func (s *span) announce(ctx context.Context, tx *metadb.Tx, rev Revision) (time.Time, error) {
	if s.first == 0 {
		return rev.UpdatedAt, nil
	}
	c := rev.Table.change(metadb.ChangeFiles)
	c.LocationID, c.FirstFile, c.LastFile = rev.ID, s.first, s.last
	tx.Record(c)
	return touch(ctx, tx, rev.ID)
}

// laterThan is an updated_at that a row of physical_tables never had, whatever the clocks do: that of the parameter, if it can
// be.
func laterThan(parameter string) string {
	return `case when updated_at < ` + parameter + ` then ` + parameter + ` else updated_at + 1 end`
}

// touch gives a revision a later UpdatedAt.
func touch(ctx context.Context, tx *metadb.Tx, location int64) (time.Time, error) {
	var at int64
	err := tx.QueryRow(ctx, `update physical_tables set updated_at = `+laterThan("$1")+`
		where id = $2 returning updated_at`, metadb.Micros(time.Now()), location).Scan(&at)
	return metadb.Time(at), err
}

// row is what is known of a file that is there.
type row struct {
	id   int64
	name string
	sum  string
}

// known are the rows of a revision that a batch may meet.
type known struct {
	byName, bySum map[string]row
}

func (b *batch) known(ctx context.Context, tx *metadb.Tx, location int64) (known, error) {
	k := known{make(map[string]row), make(map[string]row)}
	names, sums := make([]string, len(b.files)), make([]string, len(b.files))
	for i, f := range b.files {
		names[i], sums[i] = f.Name, dataset.Hash(f.SHA256).String()
	}
	err := k.find(ctx, tx, location, "file_name", names)
	if err == nil && !b.tree {
		err = k.find(ctx, tx, location, "sha256", sums)
	}
	return k, err
}

// find adds the rows of a location that have one of the values in a column.
func (k known) find(ctx context.Context, tx *metadb.Tx, location int64, column string, values []string) error {
	if len(values) == 0 {
		return nil
	}
	// For one value a PostgreSQL without statistics would go through the revision.
	query, arg := `select id, file_name, sha256 from file_metadata where `+column+` = $1 and location_id = $2`, values[0]
	if len(values) > 1 {
		query, arg = `select f.id, f.file_name, f.sha256 from json_each($1) v
			cross join file_metadata f where f.location_id = $2 and f.`+column+` = v.key`, rowsOf(values)
	}
	for r, err := range stream(ctx, tx, scanRow, query, arg, location) {
		if err != nil {
			return err
		}
		k.byName[r.name], k.bySum[r.sum] = r, r
	}
	return nil
}

func scanRow(s scanner) (r row, err error) {
	err = s.Scan(&r.id, &r.name, &r.sum)
	return r, err
}

// insert writes the rows of the fresh files, and fills in what became of them.
func (b *batch) insert(ctx context.Context, tx *metadb.Tx, rev Revision, fresh []int, registered []Registered) error {
	now := metadb.Micros(time.Now())
	if err := b.makeDirectories(ctx, tx, rev.ID, fresh, now); err != nil {
		return err
	}
	ids, err := b.insertFiles(ctx, tx, rev.ID, fresh, now)
	if err != nil {
		return err
	}
	footers := 0
	for _, i := range fresh {
		registered[i] = Registered{ID: ids[b.files[i].Name], Name: b.files[i].Name}
		footers += min(len(b.files[i].Footer), 1)
	}
	if footers == 0 {
		return nil
	}
	_, err = tx.Insert(ctx, "footer_cache", []string{"file_id", "footer"}, func(yield func([]any) bool) {
		for _, i := range fresh {
			if footer := b.files[i].Footer; len(footer) > 0 && !yield([]any{registered[i].ID, footer}) {
				return
			}
		}
	})
	return err
}

// insertFiles returns the ids of the new rows by name.
func (b *batch) insertFiles(ctx context.Context, tx *metadb.Tx, location int64, fresh []int, now int64) (map[string]int64, error) {
	ids := make(map[string]int64, len(fresh))
	if len(fresh) == 1 {
		for row := range b.rows(location, fresh, now) {
			id, err := tx.InsertOne(ctx, "file_metadata", fileColumns(), row)
			if err != nil {
				return nil, err
			}
			ids[b.files[fresh[0]].Name] = id
		}
		return ids, nil
	}
	var last int64
	if err := tx.QueryRow(ctx, `select coalesce(max(id), 0) from file_metadata`).Scan(&last); err != nil {
		return nil, err
	}
	if _, err := tx.Insert(ctx, "file_metadata", fileColumns(), b.rows(location, fresh, now)); err != nil {
		return nil, err
	}
	// Ids grow, also of transactions that run beside this one. The sign keeps SQLite from going through all files of the
	// revision by an index instead of by id.
	for r, err := range stream(ctx, tx, scanRow, `select id, file_name, sha256 from file_metadata
		where id > $1 and +location_id = $2`, last, location) {
		if err != nil {
			return nil, err
		}
		ids[r.name] = r.id
	}
	return ids, nil
}

func fileColumns() []string {
	return []string{
		"location_id", "file_name", "dir", "url", "object_size", "object_e_tag", "object_version", "sha256", "row_count",
		"created_at", "footer_offset", "metadata",
	}
}

// rows yields those of file_metadata.
func (b *batch) rows(location int64, fresh []int, now int64) iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for _, i := range fresh {
			f := &b.files[i]
			dir, _ := splitPath(f.Name)
			if !yield([]any{location, f.Name, dir, f.URL, f.Size, f.ETag, f.Version, dataset.Hash(f.SHA256).String(),
				f.Rows, now, f.FooterOffset, b.json[i]}) {
				return
			}
		}
	}
}

// makeDirectories makes those above the files that are not there yet. It is fs.ErrExist where a path would be a file
// and a directory at once.
func (b *batch) makeDirectories(ctx context.Context, tx *metadb.Tx, location int64, fresh []int, now int64) error {
	if !b.tree {
		return nil
	}
	if len(fresh) == 1 {
		if _, known, err := look(ctx, tx, location, b.files[fresh[0]].Name); known || err != nil {
			return err
		}
	}
	names := make([]string, len(fresh))
	for n, i := range fresh {
		names[n] = b.files[i].Name
	}
	if err := none(ctx, tx, "directory", `select v.key from json_each($1) v cross join file_directories d
		where d.location_id = $2 and d.dir = `+dirOfKey+` and d.name = `+baseOfKey, names, location); err != nil {
		return err
	}
	if err := none(ctx, tx, "file", `select v.key from json_each($1) v cross join file_metadata f
		where f.location_id = $2 and f.file_name = v.key`, b.dirs, location); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into file_directories (location_id, dir, name, created_at)
		select $1, `+dirOfKey+`, `+baseOfKey+`, $2 from json_each($3) v where true
		on conflict (location_id, dir, name) do nothing`, location, now, rowsOf(b.dirs))
	return err
}

// none is fs.ErrExist where the query finds a path.
func none(ctx context.Context, tx *metadb.Tx, kind, query string, paths []string, location int64) error {
	var found string
	err := tx.QueryRow(ctx, query+` limit 1`, rowsOf(paths), location).Scan(&found)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return isThere(found, kind)
}

func otherContent(there row) error {
	return fmt.Errorf("%s is there with other content, sha256 %s: %w", there.name, there.sum, fs.ErrExist)
}

func isThere(path, kind string) error {
	return fmt.Errorf("%s is a %s in this revision: %w", path, kind, fs.ErrExist)
}

// Parts of a path that is the key of one of rowsOf.
const (
	dirLength = `cast(cast(v.value as text) as integer)`
	dirOfKey  = `substr(v.key, 1, ` + dirLength + `)`
	baseOfKey = `substr(v.key, ` + dirLength + ` + case when ` + dirLength + ` = 0 then 1 else 2 end)`
)

// rowsOf is the parameter of json_each that gives the paths as rows: an object, of which both databases give the keys,
// each with the length of its directory in characters. As one parameter each, thousands of paths take SQLite quadratic
// time, and in an IN they are compared with every file of the revision by a PostgreSQL that has no statistics yet. The
// queries join them by "cross join", which SQLite runs in the order written.
func rowsOf(paths []string) string {
	b := []byte{'{'}
	for i, p := range paths {
		if i > 0 {
			b = append(b, ',')
		}
		key, _ := json.Marshal(p) // a string always can be
		dir, _ := splitPath(p)
		b = append(append(b, key...), ':')
		b = strconv.AppendInt(b, int64(utf8.RuneCountInString(dir)), 10)
	}
	return string(append(b, '}'))
}
