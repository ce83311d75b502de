package datastore

import "iter"

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
// they say too little is passed on, and so is an error.
func Prune(files iter.Seq2[File, error], p Predicate) iter.Seq2[File, error] {
	return files
}
