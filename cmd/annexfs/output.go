package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// show writes the command's data: with --json as one document, else as human writes it.
func (a *app) show(document any, human func(w io.Writer) error) error {
	if a.json {
		e := json.NewEncoder(a.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(document)
	}
	return human(a.out)
}

// done is for a command that has nothing to show but that it was done: a document, or a sentence on stderr.
func (a *app) done(document any, format string, args ...any) error {
	return a.show(document, func(io.Writer) error {
		a.say(format, args...)
		return nil
	})
}

// table writes aligned columns under their names.
func table(w io.Writer, columns []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// fields writes aligned names and values.
func fields(w io.Writer, pairs ...string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintln(t, pairs[i]+"\t"+pairs[i+1])
	}
	return t.Flush()
}

// clock is an instant as people read it, in their zone.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// size is a number of bytes as people read it.
func size(n int64) string { return humanize.IBytes(uint64(n)) }

// count is a number as people read it.
func count(n int64) string { return humanize.Comma(n) }

// list is never nil, so that JSON has [] and not null.
func list[T, U any](all []T, convert func(T) U) []U {
	out := make([]U, 0, len(all))
	for _, one := range all {
		out = append(out, convert(one))
	}
	return out
}
