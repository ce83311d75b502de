package datastore

import (
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// decodeFooter decodes what we check, and what parquet-go leaves out: whether bounds are exact, and whether a count of
// nulls is there or zero.
func decodeFooter(b []byte) (*footerMeta, error) {
	if err := checkThrift(b); err != nil {
		return nil, formatErrorf("its footer %v", err)
	}
	meta := new(footerMeta)
	if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReaderFromBytes(b)).Decode(meta); err != nil {
		return nil, formatErrorf("its footer cannot be read: %v", err)
	}
	return meta, nil
}

type footerMeta struct {
	Schema       thrift.Slice[format.SchemaElement] `thrift:"2,required"`
	NumRows      int64                              `thrift:"3,required"`
	RowGroups    thrift.Slice[rowGroupMeta]         `thrift:"4,required"`
	ColumnOrders thrift.Slice[format.ColumnOrder]   `thrift:"7,optional"`
	Encryption   format.EncryptionAlgorithm         `thrift:"8,optional"`

	leaves []leaf
}

type rowGroupMeta struct {
	Columns thrift.Slice[chunkMeta] `thrift:"1,required"`
	NumRows int64                   `thrift:"3,required"`
}

type chunkMeta struct {
	FilePath          string                      `thrift:"1,optional"`
	MetaData          columnMeta                  `thrift:"3,optional"`
	OffsetIndexOffset int64                       `thrift:"4,optional"`
	OffsetIndexLength int32                       `thrift:"5,optional"`
	ColumnIndexOffset int64                       `thrift:"6,optional"`
	ColumnIndexLength int32                       `thrift:"7,optional"`
	Encryption        format.ColumnCryptoMetaData `thrift:"8,optional"`
}

type columnMeta struct {
	Type                 format.Type    `thrift:"1,required"`
	NumValues            int64          `thrift:"5,required"`
	TotalCompressedSize  int64          `thrift:"7,required"`
	DataPageOffset       int64          `thrift:"9,required"`
	DictionaryPageOffset int64          `thrift:"11,optional"`
	Statistics           statisticsMeta `thrift:"12,optional"`
}

type statisticsMeta struct {
	NullCount thrift.Null[int64] `thrift:"3,optional"`
	Max       []byte             `thrift:"5,optional"`
	Min       []byte             `thrift:"6,optional"`
	MaxExact  thrift.Null[bool]  `thrift:"7,optional"`
	MinExact  thrift.Null[bool]  `thrift:"8,optional"`
}

// leaf is a column that has values.
type leaf struct {
	path     string // elements joined with "."
	element  *format.SchemaElement
	repeated bool // it, or a group around it
}

// check looks for what cannot be true of a whole file whose footer begins at start, and finds the leaves.
func (m *footerMeta) check(start int64) error {
	if m.Encryption.Value != nil {
		return formatErrorf("it is encrypted")
	}
	if err := m.findLeaves(); err != nil {
		return err
	}
	rows := int64(0)
	for i := range m.RowGroups {
		g := &m.RowGroups[i]
		if len(g.Columns) != len(m.leaves) {
			return formatErrorf("row group %d has %d columns, the schema %d", i, len(g.Columns), len(m.leaves))
		}
		if g.NumRows < 0 {
			return formatErrorf("row group %d has %d rows", i, g.NumRows)
		}
		rows += g.NumRows
		for j := range g.Columns {
			if reason := g.Columns[j].fault(m.leaves[j], start); reason != "" {
				return formatErrorf("row group %d, column %s: %s", i, m.leaves[j].path, reason)
			}
		}
	}
	if rows != m.NumRows {
		return formatErrorf("its row groups have %d rows, its footer says %d", rows, m.NumRows)
	}
	return nil
}

// fault says what cannot be true of a column chunk.
func (c *chunkMeta) fault(l leaf, start int64) string {
	meta := &c.MetaData
	switch {
	case c.Encryption.Value != nil:
		return "it is encrypted"
	case c.FilePath != "":
		return fmt.Sprintf("its values are in another file, %q", c.FilePath)
	case !l.element.Type.Valid || meta.Type != l.element.Type.V:
		return fmt.Sprintf("its values are %s, its schema says %s", meta.Type, l.element.Type.V)
	case meta.NumValues < 0 || meta.TotalCompressedSize < 0:
		return fmt.Sprintf("it has %d values in %d bytes", meta.NumValues, meta.TotalCompressedSize)
	case meta.NumValues == 0: // writers leave the offsets at anything
		return ""
	}
	first := meta.DataPageOffset
	if d := meta.DictionaryPageOffset; d > 0 && d < first {
		first = d
	}
	if first < int64(len(parquetMagic)) || first > start || meta.TotalCompressedSize > start-first {
		return fmt.Sprintf("it is truncated or damaged: %d bytes of values at %d reach beyond the footer at %d",
			meta.TotalCompressedSize, first, start)
	}
	return ""
}

// findLeaves walks the schema, which is a tree in depth-first order.
func (m *footerMeta) findLeaves() error {
	if len(m.Schema) == 0 {
		return formatErrorf("it has no schema")
	}
	next := 1
	var group func(children int32, path string, repeated bool, depth int) error
	group = func(children int32, path string, repeated bool, depth int) error {
		if depth > maxThriftDepth {
			return formatErrorf("its schema is nested too deeply")
		}
		for range children {
			if next >= len(m.Schema) {
				return formatErrorf("its schema is not a tree")
			}
			e := &m.Schema[next]
			next++
			l := leaf{path + e.Name, e, repeated || e.RepetitionType.V == format.Repeated}
			if e.NumChildren.V == 0 {
				m.leaves = append(m.leaves, l)
			} else if err := group(e.NumChildren.V, l.path+".", l.repeated, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := group(m.Schema[0].NumChildren.V, "", false, 0); err != nil {
		return err
	}
	if next != len(m.Schema) || len(m.leaves) == 0 {
		return formatErrorf("its schema has %d columns in %d elements", len(m.leaves), len(m.Schema))
	}
	return nil
}

// indices yields where the page indices of all column chunks lie.
func (m *footerMeta) indices(yield func(offset, length int64) bool) {
	for i := range m.RowGroups {
		for j := range m.RowGroups[i].Columns {
			c := &m.RowGroups[i].Columns[j]
			if !yield(c.ColumnIndexOffset, int64(c.ColumnIndexLength)) ||
				!yield(c.OffsetIndexOffset, int64(c.OffsetIndexLength)) {
				return
			}
		}
	}
}

// indexStart is where the page indices begin, or start where they are not to be kept.
func (m *footerMeta) indexStart(start int64) int64 {
	first := start
	for offset := range m.indices {
		if offset > 0 {
			first = min(first, offset)
		}
	}
	if first < int64(len(parquetMagic)) || start-first > maxTail {
		return start
	}
	return first
}

// checkIndices reports whether the page indices lie in b, the part of the file from start to its footer, and can be
// decoded without harm. parquet-go allocates the sum of their lengths.
func (m *footerMeta) checkIndices(b []byte, start int64) bool {
	sum := int64(0)
	for offset, length := range m.indices {
		sum += length
		if length < 0 || sum > int64(len(b)) {
			return false
		}
		if offset <= 0 {
			continue
		}
		i := offset - start
		if i < 0 || i > int64(len(b))-length || checkThrift(b[i:i+length]) != nil {
			return false
		}
	}
	return true
}
