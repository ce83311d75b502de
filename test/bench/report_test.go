package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sampleReport() report {
	row := Result{Row: Row{Name: "reading <all>", Aim: 1.05, UserAim: 1.2}, Samples: map[string][]float64{
		plainName: {2, 4, 1}, "annexfs, root": {2.1, 4.4, 1.3}, "annexfs, user": {2, 4, 1.1}, "bindfs": {20, 40, 10}, barePassed: {2.1, 4, 1.3},
	}, Requests: map[string]map[string]float64{"annexfs, root": {"OPEN": 3, "RELEASE": 3}}, Per: 3}
	return report{Sizes: quickSizes(), Rows: []Result{row},
		Targets: []Target{{Name: plainName}, {Name: annexfsRoot}, {Name: annexfsUser}, {Name: "bindfs"}, {Name: "rclone mount", Absent: "it is not installed"},
			{Name: barePassed, Bare: true}, {Name: bareCached, Bare: true}},
		Uses: []Use{{Name: "memory", Unit: "MB", Aim: 400, Samples: map[string][]float64{"annexfs, root": {420}}}}}
}

func TestReport_Markdown(t *testing.T) {
	got := sampleReport().markdown()
	for _, want := range []string{
		// The median of 1.05, 1.1 and 1.3 misses 1.05; that of 1, 1 and 1.1 does not miss 1.2.
		"| reading <all> | 666.7 ms (333.3 ms–1.33 s) | **1.10** (1.05–1.30) | 1.00 (1.00–1.10) | 10.00 (10.00–10.00) | NOT RUN | 1.05 | 1.20 |",
		"| memory | **420 MB** | NOT RUN | 400 MB |",
		"| reading <all> | 1 OPEN, 1 RELEASE | none |",
		"- NOT RUN: rclone mount: it is not installed",
		"| reading <all> | 1.05 (1.00–1.30) | 1.00 (1.00–1.10) | NOT RUN | NOT RUN |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("markdown lacks %q; got\n%s", want, got)
		}
	}
}

func TestReport_Plot(t *testing.T) {
	data := sampleReport().plot()
	circles := 0
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, data)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if want := 4 + 3; circles != want { // the legend's and the row's
		t.Errorf("the plot has %d dots, want %d", circles, want)
	}
}

func TestSpreadOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spreadOf(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

func TestMissed(t *testing.T) {
	for _, c := range []struct {
		value, aim float64
		want       bool
	}{{1.024, 1.02, false}, {1.026, 1.02, true}, {9, 0, false}, {1.05, 1.05, false}} {
		if got := missed(c.value, c.aim, 2); got != c.want {
			t.Errorf("missed(%v, %v) = %v, want %v", c.value, c.aim, got, c.want)
		}
	}
}

func TestTexts(t *testing.T) {
	got := []string{thousands(7), thousands(20_000), thousands(1_000_000), bytesText(64 << 20), bytesText(1 << 30),
		secondsText(2, 0), secondsText(0.25, 0), secondsText(1, 1000), secondsText(1e-3, 1000)}
	want := []string{"7", "20,000", "1,000,000", "64 MiB", "1 GiB", "2.00 s", "250.0 ms", "1.0 ms", "1.00 µs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}
