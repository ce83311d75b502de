// Command report reads `go test -json` from its input, prints each package's verdict, whatever failed and what tests counted, and ends
// with a count of passed, failed and skipped tests and a line for each test that was not run here.
//
// It exits with status 1 when a test failed, when nothing was tested, when a test was skipped without saying
// "NOT RUN HERE: reason", and, with -strict, when any test was not run.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	strict := flag.Bool("strict", false, "fail when a test was not run here")
	flag.Parse()
	s, err := Read(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	if !s.Print(os.Stdout, *strict) {
		os.Exit(1)
	}
}
