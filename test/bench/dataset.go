package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/repo"
)

const (
	benchDataset = "bench/data"
	benchVersion = "1.0.0"
	tableQueries = "lineitem"
	tableMany    = "lineitem_many" // the same in small files
	tableBig     = "big"
	tableSmall   = "small"
	tableRows    = "rows" // registered without content
)

// listing is the name of the table of n files.
func listing(n int) string { return fmt.Sprintf("list%d", n) }

// build makes the repository, and beside it tree: for each table a directory of hard links to the very files that
// annexfs serves, under the same names. All of it belongs to the ordinary user.
func (b *bed) build(ctx context.Context) error {
	say("generating lineitem at scale factor %g", b.Scale)
	for _, n := range []int{b.ParquetFiles, b.ManyFiles} {
		if _, err := b.output(ctx, nil, b.python, filepath.Join(b.root, "test/tpch/generate.py"), b.data(n),
			"--scale", fmt.Sprint(b.Scale), "--files", fmt.Sprint(n)); err != nil {
			return err
		}
	}
	for _, d := range []string{"repo", "repo-root", "tree"} {
		if err := os.RemoveAll(b.path(d)); err != nil { // of a former run
			return err
		}
	}
	if err := b.mkdir(b.path("tree")); err != nil {
		return err
	}
	manifest := b.path("manifest.json")
	if err := b.writeManifest(manifest); err != nil {
		return err
	}
	say("making the repository, with %s files in tables", thousands(b.Registered+b.SmallFiles+sum(b.Listings)))
	if _, err := b.output(ctx, b.user, b.annexfs, "init", b.path("repo")); err != nil {
		return err
	}
	hash, err := b.output(ctx, b.user, b.annexfs, "manifest", "register", manifest)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"dataset", "link", benchDataset, hash}, {"tag", "set", benchDataset, benchVersion},
		{"add", benchDataset + "/" + tableQueries, filepath.Join(b.data(b.ParquetFiles), "lineitem")},
		{"add", benchDataset + "/" + tableMany, filepath.Join(b.data(b.ManyFiles), "lineitem")},
	} {
		if _, err := b.output(ctx, b.user, b.annexfs, args...); err != nil {
			return err
		}
	}
	if _, err = b.do(ctx, job{Work: "fill", Repo: b.path("repo"), Tree: b.path("tree"), Sizes: b.sizes}); err != nil || b.user == nil {
		return err
	}
	return b.twin(ctx)
}

// twin makes a second repository, for the mount of root: one repository has one mount that can be written. It has the
// very same objects, by hard links, and a database of its own.
func (b *bed) twin(ctx context.Context) error {
	if _, err := b.output(ctx, nil, "cp", "-al", b.path("repo"), b.path("repo-root")); err != nil {
		return err
	}
	database := b.path("repo-root", "annexfs.db")
	return errors.Join(os.Remove(database), copyFile(b.path("repo", "annexfs.db"), database, 0o644))
}

// data is where lineitem lies in that many files, which are the same for every run of these sizes.
func (b *bed) data(files int) string {
	return b.path(fmt.Sprintf("tpch-%g-in-%d", b.Scale, files))
}

// writeManifest adds the benchmark's tables to the manifest of lineitem.
func (b *bed) writeManifest(path string) error {
	data, err := os.ReadFile(filepath.Join(b.root, "test/tpch/manifest.json"))
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	tables, ok := m["tables"].(map[string]any)
	if !ok {
		return errors.New("test/tpch/manifest.json has no tables")
	}
	tables[tableMany] = tables[tableQueries]
	tables[tableSmall] = map[string]any{"kind": "files"}
	plain := map[string]any{"kind": "parquet", "schema": map[string]any{"fields": []any{
		map[string]any{"name": "id", "type": "int64", "nullable": false}}}}
	for _, name := range append([]string{tableBig, tableRows}, listings(b.sizes)...) {
		tables[name] = plain
	}
	if data, err = json.Marshal(m); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func listings(s sizes) []string {
	var tables []string
	for _, n := range s.Listings {
		tables = append(tables, listing(n))
	}
	return tables
}

// filler publishes files that it writes into the stores itself: a hundred thousand one by one with `annexfs add` would
// wait for the disk a hundred thousand times.
type filler struct {
	job
	repo *repo.Repo
	hash dataset.Hash
}

// fill is the work of a worker: everything but lineitem's content.
func fill(ctx context.Context, j job) (err error) {
	r, err := repo.Open(ctx, j.Repo, repo.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	ref, err := dataset.ParseReference(benchDataset + "@" + benchVersion)
	if err != nil {
		return err
	}
	f := &filler{job: j, repo: r}
	if f.hash, err = r.Registry.Resolve(ctx, ref); err != nil {
		return err
	}
	for _, name := range []string{tableQueries, tableMany} {
		if err := f.linkObjects(name); err != nil {
			return err
		}
	}
	for _, n := range j.Sizes.Listings {
		if err := f.parquet(ctx, listing(n), n, func(path string, i int) (int64, error) {
			content := fmt.Appendf(nil, "%0*d", 600+i%1200, i) // find -size +1 finds those above 512 bytes
			return int64(len(content)), os.WriteFile(path, content, 0o644)
		}); err != nil {
			return err
		}
	}
	if err := f.parquet(ctx, tableBig, 1, func(path string, _ int) (int64, error) {
		return j.Sizes.BigBytes, writeRandom(path, j.Sizes.BigBytes)
	}); err != nil {
		return err
	}
	if err := f.parquet(ctx, tableRows, j.Sizes.Registered, nil); err != nil {
		return err
	}
	return f.small(ctx)
}

// linkObjects links the objects that `annexfs add` made of a table into the tree.
func (f *filler) linkObjects(table string) error {
	objects, err := filepath.Glob(filepath.Join(f.Repo, "objects", benchDataset, table, "*", "*.parquet"))
	if err != nil || len(objects) == 0 {
		return fmt.Errorf("%s has %d objects: %w", table, len(objects), err)
	}
	return linkInto(filepath.Join(f.Tree, table), objects)
}

func linkInto(dir string, paths []string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, path := range paths {
		if err := os.Link(path, filepath.Join(dir, filepath.Base(path))); err != nil {
			return err
		}
	}
	return nil
}

// parquet publishes n files of a parquet table, each written by write, or none of them where write is nil.
func (f *filler) parquet(ctx context.Context, name string, n int, write func(path string, i int) (int64, error)) error {
	id, err := dataset.ParseID(benchDataset)
	if err != nil {
		return err
	}
	table := datastore.Table{Dataset: id, Manifest: f.hash, Name: dataset.TableName(name)}
	uuid, prefix, err := datastore.NewRevision(table)
	if err != nil {
		return err
	}
	objects, tree := filepath.Join(f.Repo, "objects", prefix), filepath.Join(f.Tree, name)
	if write != nil {
		if err := errors.Join(os.MkdirAll(objects, 0o755), os.Mkdir(tree, 0o755)); err != nil {
			return err
		}
	}
	files := make([]datastore.NewFile, n)
	for i := range files {
		file := dataset.FileName{Block: uint64(i), Suffix: uint64(i)}.String()
		files[i] = datastore.NewFile{Name: file, URL: prefix + file, Size: 1 << 20, Rows: 1, ETag: "none"}
		binary.BigEndian.PutUint64(files[i].SHA256[:], uint64(i)+1)
		if write == nil {
			continue
		}
		if files[i].Size, err = write(filepath.Join(objects, file), i); err != nil {
			return err
		}
		if err := os.Link(filepath.Join(objects, file), filepath.Join(tree, file)); err != nil {
			return err
		}
	}
	options := datastore.PublishOptions{Replace: true, Create: datastore.CreateOptions{UUID: uuid, Actor: "bench"}}
	_, _, err = f.repo.Data.Publish(ctx, table, options, files)
	return err
}

// small publishes the files table.
func (f *filler) small(ctx context.Context) error {
	id, err := dataset.ParseID(benchDataset)
	if err != nil {
		return err
	}
	tree := filepath.Join(f.Tree, tableSmall)
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	files := make([]datastore.NewFile, f.Sizes.SmallFiles)
	for i := range files {
		content := make([]byte, f.Sizes.SmallBytes)
		binary.BigEndian.PutUint64(content, uint64(i)+1)
		key := dataset.Key{Size: int64(len(content)), Sum: sha256.Sum256(content), Ext: ".bin"}
		path, name := f.repo.Files.Path(key), fmt.Sprintf("%06d.bin", i)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o444),
			os.Link(path, filepath.Join(tree, name))); err != nil {
			return err
		}
		files[i] = datastore.NewFile{Name: name, URL: "annex:" + key.String(), Size: key.Size, SHA256: key.Sum}
	}
	options := datastore.PublishOptions{Replace: true, Create: datastore.CreateOptions{Actor: "bench"}}
	options.Tree = true
	_, _, err = f.repo.Data.Publish(ctx, datastore.Table{Dataset: id, Manifest: f.hash, Name: tableSmall}, options, files)
	return err
}

// writeRandom writes bytes that nothing on the way can make smaller.
func writeRandom(path string, size int64) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	source := rand.NewChaCha8([32]byte{})
	buf := make([]byte, 1<<20)
	for size > 0 {
		n := min(int64(len(buf)), size)
		if _, err := source.Read(buf[:n]); err != nil {
			return err
		}
		if _, err := file.Write(buf[:n]); err != nil {
			return err
		}
		size -= n
	}
	return nil
}

func sum(numbers []int) int {
	total := 0
	for _, n := range numbers {
		total += n
	}
	return total
}
