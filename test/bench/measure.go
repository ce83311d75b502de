package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// warmRuns is how often a process does warm work; the best counts. The first may find that the machine
// has taken a part of the caches away since the last turn; the kernel then fills that of a listing only in the one after.
const warmRuns = 3

// measure does everything, and cleans up whatever happens. A report comes back also with an error, as far as it got.
func measure(ctx context.Context, f flags) (r report, err error) {
	only, onlyErr := regexp.Compile(f.only)
	named, namedErr := regexp.Compile(f.targets)
	if err := errors.Join(onlyErr, namedErr); err != nil {
		return r, err
	}
	b, err := newBed(f)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return r, err
	}
	if err := b.build(ctx); err != nil {
		return r, err
	}
	targets := slices.DeleteFunc(b.everyTarget(ctx), func(t *target) bool { return t.name != plainName && !named.MatchString(t.name) })
	for _, t := range targets {
		b.undo(t.stop)
	}
	r = report{Sizes: f.sizes, Machine: b.machine(ctx)}
	for _, t := range targets {
		r.Targets = append(r.Targets, Target{Name: t.name, Absent: t.absent, Bare: t.bare})
	}
	for _, row := range suite(f.sizes) {
		if !only.MatchString(row.Name) {
			continue
		}
		result, err := b.compare(ctx, row, targets)
		r.Rows = append(r.Rows, result)
		if err != nil {
			return r, err
		}
	}
	for _, t := range targets {
		if err := t.stop(); err != nil {
			return r, err
		}
	}
	r.Uses, err = b.uses(ctx, only, targets)
	r.Machine.LoadAfter = loadAverage()
	return r, errors.Join(err, r.failures())
}

// compare measures one row: every target once without counting it, then by turns.
func (b *bed) compare(ctx context.Context, row Row, targets []*target) (Result, error) {
	result := Result{Row: row, Per: row.per, Samples: map[string][]float64{}, Requests: map[string]map[string]float64{}, Failed: map[string]string{}}
	if row.state == cold && b.user == nil {
		result.NotRun = "dropping the kernel's caches needs root"
		return result, nil
	}
	begin := time.Now()
	for turn := 0; turn <= b.Repetitions || time.Since(begin) < b.Budget || turn <= row.turns; turn++ {
		closely := turn > b.Repetitions && time.Since(begin) >= b.Budget // without the peers
		// Another one begins each turn: what comes first or last finds the machine in another state.
		first := turn % len(targets)
		for _, t := range slices.Concat(targets[first:], targets[:first]) {
			if t.absent != "" || result.Failed[t.name] != "" || t.bare && !row.inBare() || closely && t.isPeer() {
				continue
			}
			o, err := b.once(ctx, row, t)
			if ctx.Err() != nil {
				return result, ctx.Err()
			}
			if err != nil {
				result.Failed[t.name] = err.Error()
				say("%s: %s: FAILED: %v", row.Name, t.name, err)
				continue
			}
			if turn == 0 {
				continue
			}
			result.Samples[t.name] = append(result.Samples[t.name], o.Seconds)
			if t.annexfs {
				result.Requests[t.name] = o.Requests
			}
		}
	}
	say("%s", result.line(targets))
	return result, nil
}

// once prepares the state that the row wants and measures once.
func (b *bed) once(ctx context.Context, row Row, t *target) (outcome, error) {
	if row.state == fresh {
		if err := t.stop(); err != nil {
			return outcome{}, err
		}
	}
	if t.daemon == nil {
		if _, err := b.start(ctx, t); err != nil {
			return outcome{}, err
		}
	}
	if row.state == cold {
		if err := dropCaches("3"); err != nil {
			return outcome{}, err
		}
	}
	dir := filepath.Join(t.base, row.table)
	if strings.HasPrefix(row.work, queryPrefix) {
		return b.query(ctx, dir, row)
	}
	j := job{Work: row.work, Dir: dir, N: row.n, Runs: 1}
	if row.state == warm {
		j.Runs = warmRuns
	}
	if t.annexfs && row.state == warm {
		j.Status = filepath.Join(t.mnt, ".annexfs", "status.json")
	}
	return b.do(ctx, j)
}

// failures tells of annexfs only: what a peer cannot do is its own affair, and stands in the table.
func (r report) failures() error {
	var errs []error
	for _, row := range r.Rows {
		for _, name := range slices.Sorted(maps.Keys(row.Failed)) {
			if strings.HasPrefix(name, "annexfs") || name == plainName {
				errs = append(errs, fmt.Errorf("%s: %s: %s", row.Name, name, row.Failed[name]))
			}
		}
	}
	return errors.Join(errs...)
}

// line is a result for the terminal.
func (r Result) line(targets []*target) string {
	parts := []string{r.Name + ":"}
	for _, t := range targets {
		if s, ok := r.ratios(t.name); ok {
			parts = append(parts, fmt.Sprintf("%s %.2f", t.name, s.median))
		} else if s, ok := r.seconds(t.name); ok {
			parts = append(parts, secondsText(s.median, r.Per))
		}
	}
	return strings.Join(parts, "  ")
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
