package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/manifest"
)

// source is a file that is to be added.
type source struct {
	path string            // as a person would name it
	name string            // path below the table in a files table, base name in a parquet table
	keys map[string]string // key and partition columns that its directories name
	size int64
}

// walker finds the files that the given paths mean.
type walker struct {
	spec    manifest.Table
	sources []source
	refused []error
}

// find returns the files of the given paths, directories in the order of their names, and an error for each that
// cannot be one of the table.
func find(spec manifest.Table, paths []string) ([]source, []error) {
	w := &walker{spec: spec}
	for _, p := range paths {
		before, failed := len(w.sources), len(w.refused)
		info, err := os.Stat(p)
		switch {
		case err != nil:
			w.refuse(p, err)
		case info.IsDir():
			w.directory(p, "")
			if len(w.sources) == before && len(w.refused) == failed {
				w.refuse(p, fail(fs.ErrNotExist, "%s", w.nothing()))
			}
		default:
			w.file(p, filepath.Base(p), info)
		}
	}
	if spec.Kind == manifest.Files {
		w.refuseTwins()
	}
	return w.sources, w.refused
}

func (w *walker) nothing() string {
	if w.spec.Kind == manifest.Parquet {
		return "no *.parquet file is in it or below (names with a leading . or _ are passed over)"
	}
	return "no file is in it or below"
}

func (w *walker) refuse(path string, err error) {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err // its path is ours
	}
	w.refused = append(w.refused, fmt.Errorf("%s: %w", path, err))
}

// directory walks dir, which has the slash-separated path below among what was asked for.
func (w *walker) directory(dir, below string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.refuse(dir, err)
		return
	}
	for _, e := range entries {
		p, name := filepath.Join(dir, e.Name()), path.Join(below, e.Name())
		if !w.wanted(e) {
			continue
		}
		info, err := os.Stat(p) // what a symbolic link points to
		switch {
		case err != nil:
			w.refuse(p, err)
		case info.IsDir() && e.Type()&fs.ModeSymlink != 0:
			w.refuse(p, fail(fs.ErrInvalid, "it is a symbolic link to a directory, which is not followed; name the directory itself"))
		case info.IsDir():
			w.directory(p, name)
		case w.isData(e.Name()):
			w.file(p, name, info)
		}
	}
}

// wanted tells whether a name counts at all: in a parquet table those do not that Spark and its like keep beside the
// data (_SUCCESS, _delta_log, .part-0.parquet.crc).
func (w *walker) wanted(e fs.DirEntry) bool {
	return w.spec.Kind == manifest.Files || !strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(e.Name(), "_")
}

// isData tells which files of a directory are meant.
func (w *walker) isData(name string) bool {
	return w.spec.Kind == manifest.Files || strings.HasSuffix(name, ".parquet")
}

func (w *walker) file(p, name string, info fs.FileInfo) {
	s := source{path: p, name: name, size: info.Size()}
	var err error
	switch {
	case !info.Mode().IsRegular():
		err = fail(fs.ErrInvalid, "it is no regular file (%s)", info.Mode().Type())
	case w.spec.Kind == manifest.Parquet:
		s.name = path.Base(name)
		s.keys, err = Partitions(w.spec, path.Dir(name))
	case !fs.ValidPath(name):
		err = fail(fs.ErrInvalid, "its name is not UTF-8")
	default:
		s.keys = keysOf(w.spec.KeyColumns, path.Dir(name))
	}
	if err != nil {
		w.refuse(p, err)
		return
	}
	w.sources = append(w.sources, s)
}

// refuseTwins refuses files of a files table that would have the same path.
func (w *walker) refuseTwins() {
	first := make(map[string]string, len(w.sources))
	for _, s := range w.sources {
		if other, ok := first[s.name]; ok && filepath.Clean(other) != filepath.Clean(s.path) {
			w.refuse(s.path, fail(fs.ErrExist, "%s would have the same path in the table, %s", other, s.name))
		}
		first[s.name] = s.path
	}
}

// Partitions are the values of the Hive partition columns that a slash-separated directory names, as in
// "region=eu/year=2026". Directories that name other columns than the table's partition_by, or in another order, are
// fs.ErrInvalid.
func Partitions(t manifest.Table, dir string) (map[string]string, error) {
	var keys map[string]string
	last := -1
	for part := range strings.SplitSeq(dir, "/") {
		column, value, ok := hive(part)
		if !ok {
			continue
		}
		i := slices.Index(t.PartitionBy, column)
		switch {
		case len(t.PartitionBy) == 0:
			return nil, fail(fs.ErrInvalid, "the directory %s names a partition, and the table has none (partition_by)", part)
		case i < 0:
			return nil, fail(fs.ErrInvalid, "the directory %s names no partition column of the table (partition_by: %s)",
				part, strings.Join(t.PartitionBy, ", "))
		case i <= last:
			return nil, fail(fs.ErrInvalid, "the directory %s is not in the order of the table's partitions (partition_by: %s)",
				part, strings.Join(t.PartitionBy, ", "))
		}
		last = i
		if keys == nil {
			keys = map[string]string{}
		}
		keys[column] = value
	}
	return keys, nil
}

// keysOf are the key columns of a files table that directories name: each as "column=value", or, where there are just
// as many directories as key columns, by their order.
func keysOf(columns []string, dir string) map[string]string {
	if len(columns) == 0 || dir == "." {
		return nil
	}
	parts := strings.Split(dir, "/")
	keys := map[string]string{}
	for _, part := range parts {
		if column, value, ok := hive(part); ok && slices.Contains(columns, column) {
			keys[column] = value
		}
	}
	if len(keys) == 0 && len(parts) == len(columns) {
		for i, column := range columns {
			keys[column] = parts[i]
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return keys
}

// hive reads a directory's name as "column=value", in which writers escape what a file name cannot hold.
func hive(part string) (column, value string, ok bool) {
	column, value, ok = strings.Cut(part, "=")
	if !ok || column == "" {
		return "", "", false
	}
	if plain, err := url.PathUnescape(value); err == nil {
		value = plain
	}
	return column, value, true
}
