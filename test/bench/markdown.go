package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// markdown is the page that people read.
func (r report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmark\n\n<!-- written by test/bench; `make bench` writes it again -->\n\n")
	if r.Sizes.Quick {
		b.WriteString("**A quick run, with sizes too small to quote.**\n\n")
	}
	r.describe(&b)
	b.WriteString("\n![ratios to plain files](bench.svg)\n\n")
	r.ratioTable(&b)
	r.bareTable(&b)
	r.useTable(&b)
	r.requestTable(&b)
	r.absences(&b)
	return b.String()
}

func (r report) describe(b *strings.Builder) {
	m := r.Machine
	command := "make bench"
	if r.Sizes.Quick {
		command = "make bench-quick"
	}
	fmt.Fprintf(b, "Measured on %s: %d cores (%s), %s of memory, %s, %s; load average %s at the beginning and %s at the end. Repeat it with `%s`.\n\n",
		m.Date, m.Cores, m.CPU, m.Memory, m.Kernel, m.FileSystem, m.LoadBefore, m.LoadAfter, command)
	fmt.Fprintf(b, "Versions: %s.\n\n", strings.Join(m.Versions, "; "))
	fmt.Fprintf(b, `All ways lead to the very same files: the plain ones are hard links to what annexfs serves, and the peers show the
directory of these links. The work is done by turns, at least %d times after one that does not count (single cold queries
through plain files and annexfs at least %d times), each time by a new process of an ordinary user. A cell is the median of
the ratios to the plain files of the same turn, with the least and the greatest in brackets; the first column has the plain
files' own times. Bold is an aim missed.

- Warm and second time: the best of three times within a process (of DuckDB: of five, each with a new database).
- DuckDB: lineitem at scale factor %g (zstd) in %d files, and in %d small ones, which show what opening costs: DuckDB opens
  each file three times a query.
- Cold: the kernel's caches of both file systems were dropped just before (drop_caches 3).
- First time after mount: the mount is new, the files beneath and their names are cached, for the plain files too.
- annexfs as root passes reads through to the disk's file system; as an ordinary user it cannot, and reads reach the
  daemon where the kernel has not cached them.
`, r.Sizes.Repetitions, r.Sizes.ColdQueries, r.Sizes.Scale, r.Sizes.ParquetFiles, r.Sizes.ManyFiles)
}

func (r report) ratioTable(b *strings.Builder) {
	header := []string{"work"}
	for _, t := range r.columns() {
		header = append(header, t.Name)
	}
	writeRow(b, append(header, "aim, root", "aim, user"))
	writeRow(b, slices.Repeat([]string{"---"}, len(header)+2))
	for _, row := range r.Rows {
		cells := []string{row.Name}
		for _, t := range r.columns() {
			cells = append(cells, row.cell(t))
		}
		writeRow(b, append(cells, aimText(row.Aim), aimText(row.UserAim)))
	}
}

func (r Result) cell(t Target) string {
	if t.Absent != "" || r.NotRun != "" {
		return "NOT RUN"
	}
	if r.Failed[t.Name] != "" && len(r.Samples[t.Name]) < 3 {
		return "FAILED"
	}
	if s, ok := r.ratios(t.Name); ok {
		text := fmt.Sprintf("%.2f", s.median)
		if missed(s.median, r.aim(t.Name), 2) {
			text = "**" + text + "**"
		}
		return fmt.Sprintf("%s (%.2f–%.2f)", text, s.min, s.max)
	}
	if s, ok := r.seconds(t.Name); ok {
		return fmt.Sprintf("%s (%s–%s)", secondsText(s.median, r.Per), secondsText(s.min, r.Per), secondsText(s.max, r.Per))
	}
	return ""
}

func aimText(aim float64) string {
	if aim == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", aim)
}

func (r report) useTable(b *strings.Builder) {
	if len(r.Uses) == 0 {
		return
	}
	b.WriteString("\nWhat the daemon takes:\n\n")
	columns := r.annexfs()
	writeRow(b, slices.Concat([]string{""}, columns, []string{"aim"}))
	writeRow(b, slices.Repeat([]string{"---"}, len(columns)+2))
	for _, u := range r.Uses {
		cells := []string{u.Name}
		for _, name := range columns {
			cells = append(cells, u.cell(name))
		}
		aim := ""
		if u.Aim > 0 {
			aim = fmt.Sprintf("%g %s", u.Aim, u.Unit)
		}
		writeRow(b, append(cells, aim))
	}
}

func (u Use) cell(target string) string {
	if len(u.Samples[target]) == 0 {
		return "NOT RUN"
	}
	s := spreadOf(u.Samples[target])
	text := fmt.Sprintf("%.*f %s", u.Digits, s.median, u.Unit)
	if missed(s.median, u.Aim, u.Digits) {
		text = "**" + text + "**"
	}
	if len(u.Samples[target]) > 1 {
		text += fmt.Sprintf(" (%.*f–%.*f)", u.Digits, s.min, u.Digits, s.max)
	}
	return text
}

// columns are the targets of the table and of the plot.
func (r report) columns() []Target {
	return slices.DeleteFunc(slices.Clone(r.Targets), func(t Target) bool { return t.Bare })
}

// annexfs are the names of the columns that are annexfs.
func (r report) annexfs() []string {
	var names []string
	for _, t := range r.Targets {
		if strings.HasPrefix(t.Name, "annexfs") {
			names = append(names, t.Name)
		}
	}
	return names
}

// requestTable counts what reached the daemon, which no noise changes.
func (r report) requestTable(b *strings.Builder) {
	b.WriteString("\nRequests that reached the daemon, per item where there are several (a RELEASE is no round trip: nobody waits for it):\n\n")
	columns := r.annexfs()
	writeRow(b, append([]string{"warm work"}, columns...))
	writeRow(b, slices.Repeat([]string{"---"}, len(columns)+1))
	for _, row := range r.Rows {
		if row.counted() {
			cells := []string{row.Name}
			for _, name := range columns {
				cells = append(cells, requestText(row.Requests[name], row.Per))
			}
			writeRow(b, cells)
		}
	}
}

func (r Result) counted() bool {
	for _, counts := range r.Requests {
		if counts != nil {
			return true
		}
	}
	return false
}

func requestText(counts map[string]float64, per int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		n := counts[name]
		if per > 0 {
			n /= float64(per)
		}
		parts = append(parts, fmt.Sprintf("%.3g %s", n, name))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// absences says what was not run and why.
func (r report) absences(b *strings.Builder) {
	var lines []string
	for _, t := range r.Targets {
		if t.Absent != "" {
			lines = append(lines, fmt.Sprintf("- NOT RUN: %s: %s\n", t.Name, t.Absent))
		}
	}
	for _, row := range r.Rows {
		if row.NotRun != "" {
			lines = append(lines, fmt.Sprintf("- NOT RUN: %s: %s\n", row.Name, row.NotRun))
		}
		for _, name := range slices.Sorted(maps.Keys(row.Failed)) {
			lines = append(lines, fmt.Sprintf("- FAILED: %s: %s, after %d measurements that count\n", row.Name, name, len(row.Samples[name])))
		}
	}
	if lines != nil {
		b.WriteString("\n" + strings.Join(lines, ""))
	}
}

func writeRow(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}
