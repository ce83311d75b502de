package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// marker begins the reason of a test that cannot run on this machine.
const marker = "NOT RUN HERE: "

// counted begins what a test that counts wants to be known even when it passes.
const counted = "counted: "

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// Summary counts what a run of tests came to.
type Summary struct {
	Passed, Failed, Skipped int
	NotRun                  []string // "package Test: reason"
	Silent                  []string // skipped without a reason
	Packages                int
	Broken                  []string // packages that failed, or did not build
	Took                    time.Duration
}

// reader gathers the output of each test until its verdict.
type reader struct {
	Summary
	out    io.Writer
	output map[string]*strings.Builder
	build  map[string]*strings.Builder
}

// Read follows a stream of test events to its end and prints, as they come, the packages' verdicts and the output of
// failed tests. Lines that are no events are printed as they are.
func Read(in io.Reader, out io.Writer) (Summary, error) {
	begin := time.Now()
	r := reader{out: out, output: map[string]*strings.Builder{}, build: map[string]*strings.Builder{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		r.take(e)
	}
	r.Took = time.Since(begin)
	return r.Summary, lines.Err()
}

func (r *reader) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		gather(r.output, key, e.Output)
	case "build-output":
		gather(r.build, e.ImportPath, e.Output)
	case "build-fail":
		fmt.Fprint(r.out, text(r.build, e.ImportPath))
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.verdict(e)
		} else {
			r.test(e, text(r.output, key))
		}
		delete(r.output, key)
	}
}

// verdict ends a package.
func (r *reader) verdict(e event) {
	name := strings.TrimPrefix(e.Package, "github.com/annexfs/annexfs/")
	if e.Action == "skip" {
		return // no test files
	}
	r.Packages++
	word := "ok  "
	if e.Action == "fail" {
		word = "FAIL"
		r.Broken = append(r.Broken, name)
		fmt.Fprint(r.out, text(r.output, e.Package+" "))
	}
	fmt.Fprintf(r.out, "%s  %-40s %7.1fs\n", word, name, e.Elapsed)
}

// test ends a test or subtest.
func (r *reader) test(e event, output string) {
	switch e.Action {
	case "pass":
		r.Passed++
		for line := range strings.Lines(output) {
			if _, text, ok := strings.Cut(line, counted); ok {
				fmt.Fprintf(r.out, "%s: %s", e.Test, text)
			}
		}
	case "fail":
		r.Failed++
		fmt.Fprint(r.out, output)
	case "skip":
		r.Skipped++
		name := strings.TrimPrefix(e.Package, "github.com/annexfs/annexfs/") + " " + e.Test
		if _, reason, ok := strings.Cut(output, marker); ok {
			reason, _, _ = strings.Cut(reason, "\n")
			r.NotRun = append(r.NotRun, name+": "+reason)
		} else {
			r.Silent = append(r.Silent, name)
		}
	}
}

// Print writes the summary and tells whether the run was good.
func (s Summary) Print(out io.Writer, strict bool) bool {
	fmt.Fprintln(out)
	for _, line := range s.NotRun {
		fmt.Fprintln(out, "NOT RUN HERE", line)
	}
	for _, line := range s.Silent {
		fmt.Fprintln(out, "SKIPPED IN SILENCE", line)
	}
	for _, line := range s.Broken {
		fmt.Fprintln(out, "FAILED", line)
	}
	fmt.Fprintf(out, "%d packages in %s\n", s.Packages, s.Took.Round(time.Second))
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", s.Passed, s.Failed, s.Skipped)
	good := s.Failed == 0 && len(s.Broken) == 0 && s.Passed > 0 && len(s.Silent) == 0
	return good && (!strict || len(s.NotRun) == 0)
}

func gather(m map[string]*strings.Builder, key, output string) {
	if m[key] == nil {
		m[key] = &strings.Builder{}
	}
	m[key].WriteString(output)
}

func text(m map[string]*strings.Builder, key string) string {
	if m[key] == nil {
		return ""
	}
	return m[key].String()
}
