// Command bench compares reading through annexfs with reading the same files from the disk and through other FUSE file
// systems, all in one run and by turns, and writes a table and a plot of the ratios.
//
// A full run takes root: for passthrough, for dropping the kernel's caches, and for mounting as root and as an ordinary
// user. Whatever cannot be measured is printed as NOT RUN with the reason. All measured work is done by processes of
// the ordinary user, one process per measurement.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// flags of the command line.
type flags struct {
	sizes
	quick   bool
	only    string // regular expression of the rows to run
	targets string // regular expression of the targets besides the plain files
	dir     string // scratch directory that is kept
	annexfs string // the built program
	write   string // directory for bench.md and bench.svg
	results string // file for the results as JSON
	render  string // file to read results from, instead of measuring
	worker  string // a job as JSON: this process is a worker
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f, err := parse(args)
	if err != nil {
		return err
	}
	if f.worker != "" {
		return work(ctx, f.worker, os.Stdout)
	}
	var r report
	if f.render != "" {
		r, err = load(f.render)
	} else {
		r, err = measure(ctx, f)
	}
	if ctx.Err() != nil || r.Rows == nil {
		return err
	}
	text := r.markdown()
	fmt.Print(text)
	return errors.Join(err, save(f, r, text))
}

func parse(args []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.BoolVar(&f.quick, "quick", false, "small sizes and few repetitions: for trying, not for quoting")
	set.StringVar(&f.only, "only", "", "run only the rows whose name this regular expression finds")
	set.StringVar(&f.targets, "targets", "", "compare only the targets whose name this regular expression finds")
	set.StringVar(&f.dir, "dir", "", "work in this directory and keep it, with the generated data, for the next run")
	set.StringVar(&f.annexfs, "annexfs", "bin/annexfs", "the built program")
	set.StringVar(&f.write, "write", "", "write bench.md and bench.svg into this directory")
	set.StringVar(&f.results, "results", "", "write the results as JSON into this file")
	set.StringVar(&f.render, "render", "", "measure nothing: read the results of a former run from this file")
	set.StringVar(&f.worker, "worker", "", "do one piece of work (the benchmark starts itself so)")
	scale := set.Float64("scale", 0, "TPC-H scale factor (0: by size of the run)")
	repetitions := set.Int("repetitions", 0, "measurements of each row (0: by size of the run)")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	f.sizes = fullSizes()
	if f.quick {
		f.sizes = quickSizes()
	}
	if *scale > 0 {
		f.Scale = *scale
	}
	if *repetitions > 0 {
		f.Repetitions, f.ColdQueries = *repetitions, *repetitions
	}
	return f, nil
}

func load(path string) (report, error) {
	var r report
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(data, &r)
}

// save writes what was asked for.
func save(f flags, r report, text string) error {
	var errs []error
	if f.results != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		errs = append(errs, err, os.WriteFile(f.results, data, 0o644))
	}
	if f.write != "" {
		errs = append(errs, os.WriteFile(filepath.Join(f.write, "bench.md"), []byte(text), 0o644),
			os.WriteFile(filepath.Join(f.write, "bench.svg"), r.plot(), 0o644))
	}
	return errors.Join(errs...)
}
