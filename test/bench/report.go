package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// report is everything that a run found.
type report struct {
	Sizes   sizes
	Machine machine
	Targets []Target
	Rows    []Result
	Uses    []Use
}

// Target is a column.
type Target struct {
	Name, Absent string
	Bare         bool // not a column: what annexfs is set beside
}

// Result is one row: the seconds of each measurement by target.
type Result struct {
	Row
	Per      int // items that one measurement handles, or 0
	NotRun   string
	Samples  map[string][]float64
	Requests map[string]map[string]float64 // to annexfs during the last measurement
	Failed   map[string]string
}

// spread is the middle and the ends of some measurements.
type spread struct{ median, min, max float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

func (r Result) seconds(target string) (spread, bool) {
	if len(r.Samples[target]) == 0 {
		return spread{}, false
	}
	return spreadOf(r.Samples[target]), true
}

// ratios compares each measurement with that of the plain files in the same turn: what else the machine does
// meanwhile hits both.
func (r Result) ratios(target string) (spread, bool) { return r.ratiosTo(target, plainName) }

func (r Result) ratiosTo(target, base string) (spread, bool) {
	plain, samples := r.Samples[base], r.Samples[target]
	if target == base || len(samples) == 0 || len(plain) < len(samples) {
		return spread{}, false // one that failed has no samples of later turns
	}
	ratios := make([]float64, len(samples))
	for i := range samples {
		ratios[i] = samples[i] / plain[i]
	}
	return spreadOf(ratios), true
}

// aim is the ratio that a target should not exceed, or 0.
func (r Result) aim(target string) float64 {
	switch target {
	case annexfsRoot:
		return r.Aim
	case annexfsUser:
		return r.UserAim
	}
	return 0
}

// missed tells whether an aim is not reached, seen with the digits that are shown.
func missed(value, aim float64, digits int) bool {
	shown, err := strconv.ParseFloat(strconv.FormatFloat(value, 'f', digits, 64), 64)
	return err == nil && aim > 0 && shown > aim+1e-9
}

// secondsText is a time that a person can read, of one item where there are several.
func secondsText(seconds float64, per int) string {
	if per > 0 {
		seconds /= float64(per)
	}
	switch {
	case seconds < 1e-3:
		return fmt.Sprintf("%.2f µs", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.1f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.2f s", seconds)
}

func thousands(n int) string {
	text := strconv.Itoa(n)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}

func bytesText(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%g GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%g MiB", float64(n)/(1<<20))
}
