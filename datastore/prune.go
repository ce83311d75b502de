package datastore

import (
	"iter"
)

// Op compares a column's value with a given one.
type Op string

// The comparisons of a Condition. Those with null ignore its Value.
const (
	Eq      Op = "="
	Ne      Op = "!="
	Lt      Op = "<"
	Le      Op = "<="
	Gt      Op = ">"
	Ge      Op = ">="
	IsNull  Op = "is null"
	NotNull Op = "is not null"
)

// Condition is "column op value". The value is text, written as the bounds of that column are (ColumnType).
type Condition struct {
	Column string
	Op     Op
	Value  string
}

// Predicate holds for a row when all its conditions do.
type Predicate []Condition

// Prune passes on the files that may hold a row for which p is true, judging by statistics alone. A file about which
// they say too little is passed on, and so is an error. A NaN is taken for greater than any number, or for no number
// at all: engines differ, and the file is passed on where that matters.
func Prune(files iter.Seq2[File, error], p Predicate) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for f, err := range files {
			if (err != nil || p.mayMatch(f)) && !yield(f, err) {
				return
			}
		}
	}
}

func (p Predicate) mayMatch(f File) bool {
	for _, c := range p {
		if s, ok := f.Statistics.Columns[c.Column]; ok && !c.mayMatch(s, f.Rows) {
			return false
		}
	}
	return true
}

func (c Condition) mayMatch(s ColumnStatistics, rows int64) bool {
	onlyNulls := s.Nulls != nil && rows > 0 && *s.Nulls == rows
	switch {
	case c.Op == IsNull:
		return s.Nulls == nil || *s.Nulls > 0
	case onlyNulls:
		return false // of null no other comparison is true
	case c.Op == NotNull:
		return true
	}
	v, err := parseBound(s.Type, c.Value)
	if err != nil {
		return true
	}
	if c.compare(s, v) {
		return true
	}
	if s.Type == TypeFloat { // some engines round the value to the column's precision first
		v.double = float64(float32(v.double))
		return c.compare(s, v)
	}
	return false
}

// compare reports whether a value within the bounds may compare as asked with v.
func (c Condition) compare(s ColumnStatistics, v bound) bool {
	min, minErr := boundOf(s.Type, s.Min)
	max, maxErr := boundOf(s.Type, s.Max)
	hasMin, hasMax := s.Min != nil && minErr == nil, s.Max != nil && maxErr == nil
	float := s.Type == TypeFloat || s.Type == TypeDouble // bounds do not tell of NaN
	switch c.Op {
	case Eq:
		return !(hasMin && v.compare(min) < 0 || hasMax && v.compare(max) > 0)
	case Ne:
		return float || !hasMin || !hasMax || v.compare(min) != 0 || v.compare(max) != 0
	case Lt:
		return !(hasMin && min.compare(v) >= 0)
	case Le:
		return !(hasMin && min.compare(v) > 0)
	case Gt:
		return float || !(hasMax && max.compare(v) <= 0)
	case Ge:
		return float || !(hasMax && max.compare(v) < 0)
	}
	return true
}
