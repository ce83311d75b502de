package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sys/unix"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

const manifest = `{"kind":"dataset","tables":{"small":{"kind":"files"},"big":{"kind":"parquet","schema":{"fields":[
	{"name":"id","type":"int64","nullable":false},{"name":"value","type":"int64","nullable":false}]}}}}`

const (
	bigFiles = 8
	perDir   = 100
)

type bed struct {
	options
	dir        string
	postgres   *metadbtest.Durable
	noPostgres string // why there is none
	self       string // this program
	table      strings.Builder
}

type record struct {
	ID    int64 `parquet:"id,plain,uncompressed"`
	Value int64 `parquet:"value,plain,uncompressed"`
}

// generate writes the files that are brought in: the same bytes in every run.
func (b *bed) generate() error {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range bigFiles {
		if err := writeBig(b.bigFile(i), rng, b.mebibytes<<20/bigFiles/16); err != nil {
			return err
		}
	}
	for _, s := range b.sizes() {
		if err := s.write(b.dir, rng); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(b.dir, "manifest.json"), []byte(manifest), 0o644)
}

func (b *bed) bigFile(i int) string {
	return filepath.Join(b.dir, "big", fmt.Sprintf("part-%d.parquet", i))
}

// size is a directory of small files.
type size struct {
	name         string
	files, bytes int
}

func (b *bed) sizes() []size {
	return []size{{"small", b.files, 8 << 10}, {"pictures", b.files / 5, 100 << 10}}
}

func (s size) write(in string, rng *rand.Rand) error {
	data := make([]byte, s.bytes)
	for i := range s.files {
		for j := range data {
			data[j] = byte(rng.Uint32())
		}
		dir := filepath.Join(in, s.name, fmt.Sprintf("%03d", i/perDir))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.bin", i)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeBig(path string, rng *rand.Rand, rows int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := parquet.NewGenericWriter[record](f)
	batch := make([]record, 1<<14)
	for ; rows > 0; rows -= len(batch) {
		for i := range batch {
			batch[i] = record{rng.Int64(), rng.Int64()}
		}
		if _, err := w.Write(batch[:min(rows, len(batch))]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}

// freeFor is how long memory is left free: Linux reports free pages to a host that asks for them every two seconds.
const freeFor = 5 * time.Second

// leaveMemory gives a host the time to take what is free.
func (b *bed) leaveMemory(ctx context.Context) error {
	select {
	case <-time.After(freeFor):
	case <-ctx.Done():
	}
	return b.readSources(ctx)
}

// fillMemory has the page cache take what is free, by way of a file without blocks. The file stays, and with it what the cache
// has of it.
func (b *bed) fillMemory(ctx context.Context) error {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return err
	}
	f, err := os.CreateTemp(b.dir, "hole-")
	if err != nil {
		return err
	}
	err = f.Truncate(int64(info.Freeram) * int64(info.Unit))
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := readAll(ctx, f.Name()); err != nil {
		return err
	}
	return b.readSources(ctx)
}

func (b *bed) readSources(ctx context.Context) error {
	for i := range bigFiles {
		if err := readAll(ctx, b.bigFile(i)); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads a file for the page cache's sake.
func readAll(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for buf := make([]byte, 1<<20); ; {
		if _, err := f.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
	}
}

// large are the ways for large files, into memory in a state that they are brought to.
func (b *bed) large(memory string, prepared func(context.Context) error) []way {
	from := filepath.Join(b.dir, "big")
	size := float64(b.mebibytes)
	ways := []way{
		{title: fmt.Sprintf("%d MiB of parquet in %d files, into %s", b.mebibytes, bigFiles, memory), name: "cp, then fsync",
			work: shell("cp " + from + "/* . && sync * .")},
		{name: "cp, then sha256sum", work: shell("cp " + from + "/* . && sha256sum *")},
		b.way("cp into @staging", true, "cp "+from+"/* mnt/bench/data/@staging/big/"),
		b.way("annexfs add", false, b.annexfs+" --repo repo add bench/data/big "+from),
	}
	for i := range ways {
		ways[i].memory = prepared
	}
	return each(ways, size, "MiB")
}

func (b *bed) small(s size) []way {
	from := filepath.Join(b.dir, s.name)
	ways := []way{
		{title: fmt.Sprintf("%d files of %d KiB", s.files, s.bytes>>10), name: "cp -r", work: shell("cp -r " + from + " copy")},
		{name: "cp -r, then sync", work: shell("cp -r " + from + " copy && sync -f copy")},
		{name: "cp -r into bindfs", missing: notInPath("bindfs"), prepare: shell("mkdir of mnt && bindfs of mnt"), work: shell("cp -r " + from + " mnt/copy"),
			cleanUp: func(dir string) error { return shell("fusermount3 -u mnt")(context.Background(), dir) }},
		b.bare("cp -r into a bare FUSE", kept, from),
		b.bare("cp -r into a bare FUSE, flushed at each close", flushing, from),
		b.bare("cp -r into a bare FUSE, flushed, with permissions", permitting, from),
		b.bare("cp -r into a bare FUSE, flushed, hashed and stored", storing, from),
		b.way("cp -r into @staging", true, "cp -r "+from+" mnt/bench/data/@staging/small/"),
		b.way("annexfs add", false, b.annexfs+" --repo repo add bench/data/small "+from),
		{name: "dvc add", missing: notInPath("dvc"), prepare: shell("cp -r " + from + " small && dvc init -q --no-scm"), work: shell("dvc add -q small")},
		{name: "git annex add", missing: notInPath("git-annex"),
			prepare: shell("cp -r " + from + " small && git init -q && git annex init -q"), work: shell("git annex add -q small"),
			cleanUp: func(dir string) error { return shell("chmod -R u+w .")(context.Background(), dir) }},
	}
	for _, w := range []way{
		b.way("cp -r into @staging, PostgreSQL", true, "cp -r "+from+" mnt/bench/data/@staging/small/"),
		b.way("annexfs add, PostgreSQL", false, b.annexfs+" --repo repo add bench/data/small "+from),
	} {
		mounted := w.cleanUp != nil
		w.prepare = func(ctx context.Context, dir string) error {
			url, err := b.postgres.Database(ctx)
			if err != nil {
				return err
			}
			return b.repository(mounted, "--database '"+url+"'")(ctx, dir)
		}
		w.missing = b.noPostgres
		ways = append(ways, w)
	}
	return each(ways, float64(s.files), "files")
}

// What this program is told to serve a bareFS: bareWork MOUNTPOINT LOG HOW.
const (
	bareWork   = "bare"
	kept       = "kept"
	flushing   = "flushed"
	permitting = "flushed-permissions"
	storing    = "stored"
)

// bare is a copy into a bareFS.
func (b *bed) bare(name, how, from string) way {
	serve := fmt.Sprintf("%s %s mnt log %s </dev/null >serve.log 2>&1 &", b.self, bareWork, how)
	return way{name: name, work: shell("cp -r " + from + " mnt/copy"),
		prepare: shell("mkdir mnt && { " + serve + " } && for i in $(seq 100); do mountpoint -q mnt && exit; sleep 0.1; done; cat serve.log; exit 1"),
		cleanUp: func(dir string) error { return shell("fusermount3 -u mnt")(context.Background(), dir) }}
}

func each(ways []way, amount float64, unit string) []way {
	for i := range ways {
		ways[i].amount, ways[i].unit = amount, unit
	}
	return ways
}

// way is a command line with a repository of its own, mounted or not.
func (b *bed) way(name string, mounted bool, command string) way {
	w := way{name: name, prepare: b.repository(mounted, ""), work: shell(command)}
	if mounted {
		w.cleanUp = func(dir string) error {
			return shell(b.annexfs+" --repo repo -q umount mnt")(context.Background(), dir)
		}
	}
	return w
}

func (b *bed) repository(mounted bool, flags string) func(context.Context, string) error {
	lines := []string{
		"mkdir mnt", b.annexfs + " -q init repo " + flags,
		b.annexfs + " --repo repo -q dataset link bench/data $(" + b.annexfs + " --repo repo -q manifest register " + b.dir + "/manifest.json)",
	}
	if mounted {
		lines = append(lines, b.annexfs+" --repo repo -q mount mnt")
	}
	return shell(strings.Join(lines, " && "))
}

// shell runs a command line in a directory.
func shell(line string) func(context.Context, string) error {
	return func(ctx context.Context, dir string) error {
		cmd := exec.CommandContext(ctx, "sh", "-c", line)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", line, err, bytes.TrimSpace(out))
		}
		return nil
	}
}
