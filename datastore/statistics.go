package datastore

import (
	"encoding/json"

	"github.com/parquet-go/parquet-go/format"
)

// Statistics are what is known of a file's columns, in the form the database keeps as JSON.
type Statistics struct {
	Columns map[string]ColumnStatistics `json:"columns,omitempty"` // by path, elements joined with "."
	Keys    map[string]string           `json:"keys,omitempty"`    // values of key columns and of partitions
}

// ColumnStatistics are bounds of a column's values. What is not known for certain is left out: bounds that the writer
// truncated or whose order is undefined, that are NaN, infinite, overlong or no text, and all of a repeated column.
type ColumnStatistics struct {
	Type  ColumnType      `json:"type,omitempty"` // of Min and Max; empty where both are left out
	Min   json.RawMessage `json:"min,omitempty"`
	Max   json.RawMessage `json:"max,omitempty"`
	Nulls *int64          `json:"nulls,omitempty"`
}

// statistics are those of the whole file, from the ones of its column chunks.
func (m *footerMeta) statistics() map[string]ColumnStatistics {
	columns := make(map[string]ColumnStatistics, len(m.leaves))
	seen := make(map[string]bool, len(m.leaves))
	for i, l := range m.leaves {
		if seen[l.path] { // a name with a dot in it may look like a path
			delete(columns, l.path)
			continue
		}
		seen[l.path] = true
		if l.repeated {
			continue
		}
		c := m.column(i)
		if c.Type != "" || c.Nulls != nil {
			columns[l.path] = c
		}
	}
	return columns
}

func (m *footerMeta) column(i int) ColumnStatistics {
	var min, max extremum
	var nulls int64
	decode, known := decoderOf(m.leaves[i].element), true
	if !m.ordered(i) {
		decode = nil
	}
	for g := range m.RowGroups {
		meta := &m.RowGroups[g].Columns[i].MetaData
		s := &meta.Statistics
		known = known && s.NullCount.Valid
		nulls += s.NullCount.V
		if meta.NumValues == 0 || s.NullCount.Valid && s.NullCount.V == meta.NumValues {
			continue // no value to bound
		}
		min.add(decode, s.Min, s.MinExact.Valid && !s.MinExact.V, -1)
		max.add(decode, s.Max, s.MaxExact.Valid && !s.MaxExact.V, +1)
	}
	var c ColumnStatistics
	if known && nulls >= 0 {
		c.Nulls = &nulls
	}
	if min.isNaN || max.isNaN || min.known() && max.known() && min.compare(max.bound) > 0 {
		return c
	}
	if min.known() {
		c.Type, c.Min = min.typ, min.json()
	}
	if max.known() {
		c.Type, c.Max = max.typ, max.json()
	}
	return c
}

// ordered reports whether the order behind the bounds of a column is defined.
func (m *footerMeta) ordered(i int) bool {
	if i >= len(m.ColumnOrders) {
		return false
	}
	_, ok := m.ColumnOrders[i].Value.(*format.TypeDefinedOrder)
	return ok
}

// extremum gathers the least or the greatest of the bounds of column chunks.
type extremum struct {
	bound
	unknown bool // of one chunk it is not known, so of none
	isNaN   bool
}

func (x *extremum) known() bool { return x.typ != "" && !x.unknown }

// add takes in the bound of one column chunk; side is -1 for the least, +1 for the greatest.
func (x *extremum) add(decode decoder, b []byte, truncated bool, side int) {
	if decode == nil || b == nil || truncated {
		x.unknown = true
		return
	}
	v, ok := decode(b)
	x.isNaN = x.isNaN || v.isNaN()
	switch {
	case !ok:
		x.unknown = true
	case x.typ == "" || v.compare(x.bound)*side > 0:
		x.bound = v
	}
}
