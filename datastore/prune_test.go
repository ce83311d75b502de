package datastore_test

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/annexfs/annexfs/datastore"
)

func nulls(n int64) *int64 { return &n }

func column(t datastore.ColumnType, min, max string, nulls *int64) datastore.ColumnStatistics {
	c := datastore.ColumnStatistics{Type: t, Nulls: nulls}
	if min != "" {
		c.Min = json.RawMessage(min)
	}
	if max != "" {
		c.Max = json.RawMessage(max)
	}
	return c
}

// A file of 10 rows.
var prunable = datastore.File{
	Entry: datastore.Entry{ID: 1},
	Rows:  10,
	Statistics: datastore.Statistics{Columns: map[string]datastore.ColumnStatistics{
		"int":   column(datastore.TypeInt, "10", "20", nulls(0)),
		"big":   column(datastore.TypeInt, "9007199254740993", "18446744073709551615", nil),
		"one":   column(datastore.TypeInt, "7", "7", nulls(3)),
		"f64":   column(datastore.TypeDouble, "0.1", "2.5", nulls(0)),
		"f32":   column(datastore.TypeFloat, "0.10000000149011612", "2.5", nulls(0)),
		"dec":   column(datastore.TypeDecimal, `"-1.50"`, `"12.30"`, nulls(0)),
		"date":  column(datastore.TypeDate, `"1994-01-01"`, `"1994-12-31"`, nulls(0)),
		"tz":    column(datastore.TypeTimestamp, `"1994-01-01T12:00:00.000Z"`, `"1994-01-02T12:00:00.000Z"`, nulls(0)),
		"ts":    column(datastore.TypeLocalTimestamp, `"1994-01-01T12:00:00.000"`, `"1994-01-02T12:00:00.000"`, nulls(0)),
		"s":     column(datastore.TypeString, `"b\u003c"`, `"d"`, nulls(0)),
		"b":     column(datastore.TypeBool, "false", "false", nulls(0)),
		"min":   column(datastore.TypeInt, "10", "", nulls(0)),
		"max":   column(datastore.TypeInt, "", "20", nulls(0)),
		"null":  column("", "", "", nulls(10)),
		"bare":  column("", "", "", nil),
		"wrong": column("colour", `"red"`, `"blue"`, nulls(0)),
		"torn":  column(datastore.TypeInt, `{"a"`, "20", nulls(0)),
	}},
}

func one(f datastore.File, err error) iter.Seq2[datastore.File, error] {
	return func(yield func(datastore.File, error) bool) { yield(f, err) }
}

func TestPrune(t *testing.T) {
	for _, tt := range []struct {
		column string
		op     datastore.Op
		value  string
		want   bool // the file is passed on
	}{
		{"int", "=", "9", false}, {"int", "=", "10", true}, {"int", "=", "20", true}, {"int", "=", "21", false},
		{"int", "=", "20.5", false}, {"int", "=", "15.5", true},
		{"int", "<", "10", false}, {"int", "<", "11", true}, {"int", "<=", "10", true}, {"int", "<=", "9", false},
		{"int", ">", "20", false}, {"int", ">", "19", true}, {"int", ">=", "20", true}, {"int", ">=", "21", false},
		{"int", "!=", "10", true}, {"int", "is null", "", false}, {"int", "is not null", "", true},
		{"int", "=", "ten", true}, {"int", "=", "", true}, {"int", "=", "1e1", true}, {"int", "=", "NaN", true},
		{"int", "~", "99", true},
		{"big", "=", "9007199254740992", false}, {"big", "=", "9007199254740993", true},
		{"big", ">", "18446744073709551615", false}, {"big", "is null", "", true},
		{"one", "!=", "7", false}, {"one", "!=", "8", true}, {"one", "is null", "", true},
		{"f64", "=", "0.1", true}, {"f64", "=", "0.09", false}, {"f64", "<", "0.1", false}, {"f64", "=", "2.6", false},
		{"f64", ">", "2.5", true}, {"f64", ">=", "3", true}, {"f64", "!=", "1", true}, // there may be NaN
		{"f64", "=", "NaN", true}, {"f64", "<", "-Inf", false},
		{"f32", "=", "0.1", true}, {"f32", "<=", "0.1", true}, {"f32", "=", "0.09", false},
		{"dec", "=", "-1.5", true}, {"dec", "=", "-1.51", false}, {"dec", ">", "12.3", false}, {"dec", ">", "12.29", true},
		{"date", "=", "1993-12-31", false}, {"date", ">=", "1994-12-31", true}, {"date", ">", "1994-12-31", false},
		{"date", "=", "1993-13-31", true}, {"date", "=", "1993-12-31T00:00:00Z", true},
		{"tz", "<", "1994-01-01T14:00:00+02:00", false}, {"tz", "<=", "1994-01-01T14:00:00+02:00", true},
		{"tz", "<", "1990-01-01T00:00:00", true}, // in which zone?
		{"ts", "<", "1994-01-01T12:00:00", false}, {"ts", "<", "1994-01-01T12:00:00.001", true},
		{"ts", "<", "1990-01-01T00:00:00Z", true},
		{"s", "=", "b", false}, {"s", "=", "b<", true}, {"s", "=", "d", true}, {"s", ">", "d", false}, {"s", "=", "é", false},
		{"s", "=", "\xff", true},
		{"b", "=", "true", false}, {"b", "=", "false", true}, {"b", "!=", "false", false}, {"b", "=", "1", true},
		{"min", "<", "10", false}, {"min", ">", "99", true}, {"min", "=", "9", false}, {"min", "!=", "10", true},
		{"max", ">", "20", false}, {"max", "<", "0", true}, {"max", "=", "21", false},
		{"null", "=", "1", false}, {"null", "!=", "1", false}, {"null", "is not null", "", false}, {"null", "is null", "", true},
		{"bare", "=", "1", true}, {"bare", "is null", "", true}, {"bare", "is not null", "", true},
		{"wrong", "=", "green", true}, {"torn", "=", "0", true}, {"torn", "=", "21", false},
		{"nosuch", "=", "1", true}, {"nosuch", "is null", "", true},
	} {
		p := datastore.Predicate{{Column: tt.column, Op: tt.op, Value: tt.value}}
		got := false
		for range datastore.Prune(one(prunable, nil), p) {
			got = true
		}
		if got != tt.want {
			t.Errorf("%s %s %q: passed on %t, want %t", tt.column, tt.op, tt.value, got, tt.want)
		}
	}
}

func TestPrune_Conjunction(t *testing.T) {
	within := datastore.Condition{Column: "int", Op: datastore.Gt, Value: "15"}
	beyond := datastore.Condition{Column: "s", Op: datastore.Eq, Value: "z"}
	for _, tt := range []struct {
		name string
		p    datastore.Predicate
		want int
	}{
		{"None", nil, 1},
		{"BothMayMatch", datastore.Predicate{within, within}, 1},
		{"SecondCannot", datastore.Predicate{within, beyond}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			for range datastore.Prune(one(prunable, nil), tt.p) {
				got++
			}
			if got != tt.want {
				t.Errorf("%d files, want %d", got, tt.want)
			}
		})
	}
}

func TestPrune_Error(t *testing.T) {
	broken := errors.New("broken")
	var got []error
	for _, err := range datastore.Prune(one(datastore.File{}, broken), datastore.Predicate{{Column: "a", Op: "="}}) {
		got = append(got, err)
	}
	if !slices.Equal(got, []error{broken}) {
		t.Errorf("got %v, want the error passed on", got)
	}
}

// Statistics that a file really has, kept as the database keeps them, decide as its values do.
func TestPrune_OfFile(t *testing.T) {
	info, err := readFooter(testdata(t, "pyarrow.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(info.Statistics)
	if err != nil {
		t.Fatal(err)
	}
	f := datastore.File{Rows: info.Rows}
	if err := json.Unmarshal(stored, &f.Statistics); err != nil {
		t.Fatal(err)
	}
	for _, c := range []datastore.Condition{
		{Column: "u64", Op: datastore.Lt, Value: "18446744073709551516"},
		{Column: "d38", Op: datastore.Gt, Value: "0.0000000049"},
		{Column: "us", Op: datastore.Gt, Value: "1994-01-05T15:00:00.25Z"},
		{Column: "ms", Op: datastore.Lt, Value: "1963-10-02T12:00:00.25"},
		{Column: "s", Op: datastore.Ge, Value: "0099 ★ <&?"},
		{Column: "null", Op: datastore.NotNull},
	} {
		for range datastore.Prune(one(f, nil), datastore.Predicate{c}) {
			t.Errorf("%v: passed on, want it pruned", c)
		}
	}
}
