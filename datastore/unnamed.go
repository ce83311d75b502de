package datastore

import (
	"context"
	"fmt"
	"path"

	"github.com/google/uuid"

	"github.com/annexfs/annexfs/internal/dataset"
)

// Content is what rows of files name: an object, or with its hash a file of the file store.
type Content struct {
	URL    string // as in NewFile
	SHA256 [32]byte
}

// UnnamedContents returns those contents that no file of any revision has, in their order. One query for all: give it
// some hundreds.
func (s *Store) UnnamedContents(ctx context.Context, all []Content) ([]Content, error) {
	keys := make([]string, len(all))
	for i, c := range all {
		keys[i] = c.key()
	}
	named, err := s.keysFor(ctx, `select v.key from json_each($1) v where exists (select 1 from file_metadata f
			where f.sha256 = substr(v.key, 1, 64) and f.url = substr(v.key, 65))
		or exists (select 1 from gc_manifest g where g.file_path = substr(v.key, 65))`, rowsOf(keys))
	if err != nil {
		return nil, fmt.Errorf("who names contents: %w", err)
	}
	var unnamed []Content
	for _, c := range all {
		if !named[c.key()] {
			unnamed = append(unnamed, c)
		}
	}
	return unnamed, nil
}

// key is the hash, whose length is known, and the url.
func (c Content) key() string { return dataset.Hash(c.SHA256).String() + c.URL }

// UnnamedObjects returns those names of objects in a revision's path that no file of that very revision has, in their
// order. Files of other revisions of the table may have them all the same: see Named. One query for all.
func (s *Store) UnnamedObjects(ctx context.Context, t Table, id uuid.UUID, names []string) ([]string, error) {
	prefix := t.prefix() + id.String() + "/"
	named, err := s.keysFor(ctx, `select v.key from json_each($1) v where exists (select 1 from physical_tables p
		join file_metadata f on f.location_id = p.id
		where p.path = $2 and f.file_name = v.key and f.url = $2 || v.key)`, rowsOf(names), prefix)
	if err != nil {
		return nil, fmt.Errorf("who names objects in %s: %w", prefix, err)
	}
	var unnamed []string
	for _, name := range names {
		if !named[name] {
			unnamed = append(unnamed, name)
		}
	}
	return unnamed, nil
}

// keysFor are the answers of a query for texts.
func (s *Store) keysFor(ctx context.Context, query string, args ...any) (map[string]bool, error) {
	keys := make(map[string]bool)
	for key, err := range stream(ctx, s.db, scanText, query, args...) {
		if err != nil {
			return nil, err
		}
		keys[key] = true
	}
	return keys, nil
}

func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// Named tells whether a file of any revision of the table, under whichever manifest, has that url, or whether it waits to
// be deleted. Objects of a parquet table are named by files of that table only.
func (s *Store) Named(ctx context.Context, t Table, url string) (bool, error) {
	return s.some(ctx, "who names "+url, `select 1 from physical_tables p join file_metadata f on f.location_id = p.id
		where p.dataset_namespace = $1 and p.dataset_name = $2 and p.table_name = $3 and f.file_name = $4 and f.url = $5
		union all select 1 from gc_manifest g where g.file_path = $5 limit 1`,
		string(t.Dataset.Namespace), string(t.Dataset.Name), string(t.Name), path.Base(url), url)
}

// Knows tells whether there is a revision with that UUID, of whichever table.
func (s *Store) Knows(ctx context.Context, id uuid.UUID) (bool, error) {
	return s.some(ctx, "revision "+id.String(), `select 1 from physical_tables p where p.revision = $1`, id.String())
}

// some tells whether a query gives a row. what is what it is about.
func (s *Store) some(ctx context.Context, what, query string, args ...any) (bool, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	defer rows.Close()
	found := rows.Next()
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}
