package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRead(t *testing.T) {
	const stream = `building
{"Action":"run","Package":"github.com/annexfs/annexfs/a","Test":"TestGood"}
{"Action":"output","Package":"github.com/annexfs/annexfs/a","Test":"TestGood","Output":"    x_test.go:1: counted: 3 kills\n"}
{"Action":"pass","Package":"github.com/annexfs/annexfs/a","Test":"TestGood","Elapsed":0.1}
{"Action":"output","Package":"github.com/annexfs/annexfs/a","Test":"TestBad","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"github.com/annexfs/annexfs/a","Test":"TestBad"}
{"Action":"output","Package":"github.com/annexfs/annexfs/a","Test":"TestElsewhere","Output":"    x_test.go:1: NOT RUN HERE: needs root\n"}
{"Action":"skip","Package":"github.com/annexfs/annexfs/a","Test":"TestElsewhere"}
{"Action":"skip","Package":"github.com/annexfs/annexfs/a","Test":"TestQuiet"}
{"Action":"fail","Package":"github.com/annexfs/annexfs/a","Elapsed":1}
{"Action":"pass","Package":"github.com/annexfs/annexfs/b","Elapsed":1}
{"Action":"skip","Package":"github.com/annexfs/annexfs/c"}
{"ImportPath":"github.com/annexfs/annexfs/d","Action":"build-output","Output":"undefined: x\n"}
{"ImportPath":"github.com/annexfs/annexfs/d","Action":"build-fail"}
{"Action":"fail","Package":"github.com/annexfs/annexfs/d","Elapsed":0,"FailedBuild":"github.com/annexfs/annexfs/d"}
`
	var out bytes.Buffer
	got, err := Read(strings.NewReader(stream), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{
		Passed: 1, Failed: 1, Skipped: 2, Packages: 3,
		NotRun: []string{"a TestElsewhere: needs root"},
		Silent: []string{"a TestQuiet"},
		Broken: []string{"a", "d"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Summary{}, "Took")); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	for _, line := range []string{"building\n", "TestGood: 3 kills\n", "got 1, want 2\n", "undefined: x\n", "FAIL  a ", "ok    b "} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("output lacks %q:\n%s", line, out.String())
		}
	}
}

func TestSummary_Print(t *testing.T) {
	cases := map[string]struct {
		summary      Summary
		good, strict bool
	}{
		"Passed":  {Summary{Passed: 1}, true, true},
		"Nothing": {Summary{}, false, false},
		"Failed":  {Summary{Passed: 1, Failed: 1}, false, false},
		"Broken":  {Summary{Passed: 1, Broken: []string{"a"}}, false, false},
		"Silent":  {Summary{Passed: 1, Skipped: 1, Silent: []string{"a"}}, false, false},
		"NotRun":  {Summary{Passed: 1, Skipped: 1, NotRun: []string{"a"}}, true, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if got := c.summary.Print(&out, false); got != c.good {
				t.Errorf("good: got %v, want %v\n%s", got, c.good, out.String())
			}
			if got := c.summary.Print(&out, true); got != c.strict {
				t.Errorf("good when strict: got %v, want %v\n%s", got, c.strict, out.String())
			}
		})
	}
}
