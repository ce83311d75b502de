// Command ingest compares ways to bring files into a dataset with plain copies and with other tools that keep what they
// are given by its content: in one run, by turns, each time into a new repository, and prints medians and ratios.
//
// What is not there (git-annex, dvc, PostgreSQL's programs) is a row that says so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/annexfs/annexfs/internal/metadb/metadbtest"
)

type options struct {
	annexfs, dir     string
	write            string
	mebibytes, files int
	repetitions      int // of the small files
	large            int // repetitions of the large ones
	only             *regexp.Regexp
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	work := run
	if len(os.Args) == 5 && os.Args[1] == bareWork {
		work = func(context.Context) error { return serveBare(os.Args[2], os.Args[3], os.Args[4]) }
	}
	if err := work(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var o options
	flag.StringVar(&o.annexfs, "annexfs", "bin/annexfs", "the program")
	flag.StringVar(&o.dir, "dir", "", "an existing directory on the disk to measure (default: that of temporary files)")
	flag.StringVar(&o.write, "write", "", "a directory for bench-ingest.md (default: none)")
	flag.IntVar(&o.mebibytes, "mib", 2048, "size of the parquet files together")
	flag.IntVar(&o.files, "files", 10_000, "number of the smallest files; of the other small ones there are a fifth")
	only := flag.String("only", "", "take only the ways whose name this regular expression finds, besides the first")
	flag.IntVar(&o.repetitions, "repetitions", 5, "of what is done with small files")
	flag.IntVar(&o.large, "large-repetitions", 7, "of what is done with large files, of which the times are more uneven")
	flag.Parse()
	if o.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	if o.annexfs, err = filepath.Abs(o.annexfs); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "annexfs-ingest-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bed{options: o, dir: dir}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if err := b.generate(); err != nil {
		return err
	}
	if b.postgres, err = metadbtest.StartDurable(); err != nil {
		b.noPostgres = err.Error()
	} else {
		defer func() { err = errors.Join(err, b.postgres.Stop()) }()
	}
	begin := load()
	for _, s := range []struct {
		ways        []way
		repetitions int
	}{
		{b.large("memory that was free for a while", b.leaveMemory), o.large},
		{b.large("memory that the page cache had", b.fillMemory), o.large},
		{b.small(b.sizes()[0]), o.repetitions},
		{b.small(b.sizes()[1]), o.repetitions},
	} {
		if err := b.compare(ctx, s.ways, s.repetitions); err != nil {
			return err
		}
	}
	report := fmt.Sprintf(head, time.Now().Format(time.DateOnly), runtime.NumCPU(), begin, load(), b.table.String())
	fmt.Print(report)
	if o.write == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(o.write, "bench-ingest.md"), []byte(report), 0o644)
}

const head = `# Bringing files in

<!-- written by test/bench/ingest; "make bench-ingest" writes it again -->

Measured on %s: %d cores; load average %s at the beginning and %s at the end. Each way is taken by turns, each time
into a new repository. The ratio is that of the medians, to the first way. What goes through annexfs is durable when
the command ends, and registered, of a copy into staging the last small files some milliseconds later, for which
whoever looks waits; of the others only those that say so sync anything. The host of a virtual machine may take back
memory that is free, and then to get it again takes a copy longer than to fill it: so there are two tables of the large
files, and in each all ways begin alike. On a machine that was in use for a while the page cache has all memory that
programs do not. The copy into bindfs shows what any file system in user space costs, those into a bare one what cannot
be saved: it answers the kernel and writes what a file holds to a log at its close, no more, and where it says so
flushes that to the disk (fdatasync), as whoever promises that a closed file is safe must. With permissions the kernel
checks who may write where, as whoever lets several users in must have it do. The one that hashes and stores does
behind the answer what is left of a dataset: a file under its key, in directories like git-annex's, and a row in
SQLite, committed every 20 ms. It checks nothing, has nothing to read and survives no crash.
%s`

// load is the average over a minute.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(data), " ")
	return first
}

// way is one way of bringing the same files in. work gets a new directory that prepare has been in.
type way struct {
	title   string // of the suite, in its first way, which the others are compared with
	name    string
	missing string // what it needs and is not there; "" where it can be done
	prepare func(ctx context.Context, dir string) error
	memory  func(ctx context.Context) error // brings the machine's memory into the state that all ways begin in
	work    func(ctx context.Context, dir string) error
	cleanUp func(dir string) error
	amount  float64 // what work brings in, in unit
	unit    string
}

// compare runs the ways by turns and prints a table.
func (b *bed) compare(ctx context.Context, ways []way, repetitions int) error {
	ways = slices.DeleteFunc(ways, func(w way) bool { return w.title == "" && !b.only.MatchString(w.name) })
	times := make([][]float64, len(ways))
	for range repetitions {
		for i, w := range ways {
			if w.missing != "" {
				continue
			}
			seconds, err := b.once(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			times[i] = append(times[i], seconds)
		}
	}
	fmt.Fprintf(&b.table, "\n%s, median of %d:\n\n| way | s | min–max | ratio | per s |\n|---|---|---|---|---|\n", ways[0].title, repetitions)
	plain := median(times[0])
	for i, w := range ways {
		if len(times[i]) == 0 {
			fmt.Fprintf(&b.table, "| %s | NOT RUN: %s | | | |\n", w.name, w.missing)
			continue
		}
		m := median(times[i])
		fmt.Fprintf(&b.table, "| %s | %.2f | %.2f–%.2f | %.2f | %.0f %s |\n", w.name, m, slices.Min(times[i]), slices.Max(times[i]), m/plain,
			w.amount/m, w.unit)
	}
	return nil
}

func (b *bed) once(ctx context.Context, w way) (seconds float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "once-")
	if err != nil {
		return 0, err
	}
	// Many files are removed with everything else at the end: for a minute, ext4 looks at each inode that was freed
	// before it takes a new one, so that whoever comes next would pay.
	if w.unit != "files" {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if w.cleanUp != nil {
		defer func() { err = errors.Join(err, w.cleanUp(dir)) }()
	}
	if w.prepare != nil {
		if err := w.prepare(ctx, dir); err != nil {
			return 0, err
		}
	}
	syscall.Sync() // the former way's dirty pages are not this one's to write
	if w.memory != nil {
		if err := w.memory(ctx); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	err = w.work(ctx, dir)
	return time.Since(begin).Seconds(), err
}

// notInPath says that a program is missing, if it is.
func notInPath(program string) string {
	if _, err := exec.LookPath(program); err != nil {
		return program + " is not in the PATH"
	}
	return ""
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return s[len(s)/2]
}
