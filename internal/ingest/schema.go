package ingest

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/manifest"
)

// SchemaOf is the Arrow schema of a parquet file, as a manifest would declare it. A column of a type that a manifest
// cannot declare is a *datastore.FormatError.
func SchemaOf(f *parquet.File) (manifest.Schema, error) {
	w := &schemaWalk{elements: f.Metadata().Schema}
	root, err := w.take()
	if err != nil {
		return manifest.Schema{}, err
	}
	return manifest.Schema{Fields: root.fields}, nil
}

// maxDepth bounds the nesting of columns.
const maxDepth = 64

// node is a parquet schema element with all below it, and what it means in Arrow.
type node struct {
	*format.SchemaElement
	children []node
	fields   []manifest.Field // of the children
}

// schemaWalk makes a tree of a schema's elements, which lie in depth-first order.
type schemaWalk struct {
	elements []format.SchemaElement
	depth    int
}

func (w *schemaWalk) take() (node, error) {
	if len(w.elements) == 0 || w.depth > maxDepth {
		return node{}, &datastore.FormatError{Reason: "its schema is not a tree"}
	}
	n := node{SchemaElement: &w.elements[0]}
	w.elements = w.elements[1:]
	w.depth++
	for range n.NumChildren.V {
		child, err := w.take()
		if err != nil {
			return node{}, err
		}
		f, err := child.field()
		if err != nil {
			return node{}, fmt.Errorf("column %s: %w", child.Name, err)
		}
		n.children = append(n.children, child)
		n.fields = append(n.fields, f)
	}
	w.depth--
	return n, nil
}

func (n *node) repeated() bool { return n.RepetitionType.V == format.Repeated }

// field is the Arrow field of an element; a repeated one that no list is around is a list by itself.
func (n *node) field() (manifest.Field, error) {
	f, err := n.single()
	if err != nil || !n.repeated() {
		return f, err
	}
	return manifest.Field{Name: n.Name, Type: manifest.List, Children: []manifest.Field{f}}, nil
}

// single is the Arrow field of one value of the element.
func (n *node) single() (manifest.Field, error) {
	f := manifest.Field{Name: n.Name, Nullable: n.RepetitionType.V == format.Optional}
	if n.NumChildren.V == 0 {
		t, err := n.leafType()
		f.Type = t
		return f, err
	}
	switch {
	case n.isList():
		f.Type, f.Children = manifest.List, []manifest.Field{n.element()}
	case n.isMap():
		f.Type, f.Children = manifest.Map, n.children[0].fields
	default:
		f.Type, f.Children = manifest.Struct, n.fields
	}
	return f, nil
}

func (n *node) isList() bool {
	_, logical := n.LogicalType.Value.(*format.ListType)
	return (logical || n.converted(deprecated.List)) && len(n.children) == 1 && n.children[0].repeated()
}

func (n *node) isMap() bool {
	_, logical := n.LogicalType.Value.(*format.MapType)
	return (logical || n.converted(deprecated.Map) || n.converted(deprecated.MapKeyValue)) &&
		len(n.children) == 1 && n.children[0].repeated() && len(n.children[0].children) == 2
}

func (n *node) converted(t deprecated.ConvertedType) bool {
	return n.ConvertedType.Valid && n.ConvertedType.V == t
}

// element is the element of a list. Old writers leave out the level between the repeated group and the element; parquet's
// rules tell which it is.
func (n *node) element() manifest.Field {
	group := &n.children[0]
	if len(group.children) == 1 && group.Name != "array" && group.Name != n.Name+"_tuple" {
		return group.fields[0]
	}
	return n.fields[0].Children[0] // the field of a repeated element is a list of it
}

// leafType is the type of a column that has values.
func (n *node) leafType() (manifest.Type, error) {
	if n.LogicalType.Value != nil {
		return n.logicalType()
	}
	if n.ConvertedType.Valid {
		return n.convertedType()
	}
	return n.physicalType()
}

func (n *node) logicalType() (manifest.Type, error) {
	switch t := n.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		return manifest.UTF8, nil
	case *format.DecimalType:
		return manifest.ParseType(string(manifest.Decimal(int(t.Precision), int(t.Scale))))
	case *format.DateType:
		return manifest.Date32, nil
	case *format.TimeType:
		if u := unit(t.Unit); u != "" {
			return manifest.Time(u), nil
		}
	case *format.TimestampType:
		if u := unit(t.Unit); u != "" {
			return manifest.Timestamp(u, zone(t.IsAdjustedToUTC)), nil
		}
	case *format.IntType:
		return manifest.ParseType(intType(t.BitWidth, t.IsSigned))
	case *format.NullType:
		return manifest.Null, nil
	case *format.UUIDType:
		return manifest.FixedSizeBinary(16), nil
	case *format.Float16Type:
		return manifest.Float16, nil
	case *format.BsonType, *format.GeometryType, *format.GeographyType:
		return manifest.Binary, nil
	}
	return "", &datastore.FormatError{Reason: "its type " + n.LogicalType.String() + " is not known"}
}

func (n *node) convertedType() (manifest.Type, error) {
	switch t := n.ConvertedType.V; t {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		return manifest.UTF8, nil
	case deprecated.Decimal:
		return manifest.ParseType(string(manifest.Decimal(int(n.Precision.V), int(n.Scale.V))))
	case deprecated.Date:
		return manifest.Date32, nil
	case deprecated.TimeMillis:
		return manifest.Time(manifest.Millisecond), nil
	case deprecated.TimeMicros:
		return manifest.Time(manifest.Microsecond), nil
	case deprecated.TimestampMillis:
		return manifest.Timestamp(manifest.Millisecond, utc), nil
	case deprecated.TimestampMicros:
		return manifest.Timestamp(manifest.Microsecond, utc), nil
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return manifest.ParseType(intType(8<<(t-deprecated.Uint8), false))
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		return manifest.ParseType(intType(8<<(t-deprecated.Int8), true))
	case deprecated.Bson:
		return manifest.Binary, nil
	}
	return n.physicalType() // an interval, which Arrow readers take for its bytes
}

func (n *node) physicalType() (manifest.Type, error) {
	switch n.Type.V {
	case format.Boolean:
		return manifest.Bool, nil
	case format.Int32:
		return manifest.Int32, nil
	case format.Int64:
		return manifest.Int64, nil
	case format.Int96:
		return manifest.Timestamp(manifest.Nanosecond, ""), nil
	case format.Float:
		return manifest.Float32, nil
	case format.Double:
		return manifest.Float64, nil
	case format.ByteArray:
		return manifest.Binary, nil
	case format.FixedLenByteArray:
		return manifest.ParseType(string(manifest.FixedSizeBinary(int(n.TypeLength.V))))
	}
	return "", &datastore.FormatError{Reason: "its type " + n.Type.V.String() + " is not known"}
}

// utc is the zone of all instants in parquet, which keeps no other.
const utc = "UTC"

func zone(adjusted bool) string {
	if adjusted {
		return utc
	}
	return ""
}

func unit(u format.TimeUnit) manifest.Unit {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return manifest.Millisecond
	case *format.MicroSeconds:
		return manifest.Microsecond
	case *format.NanoSeconds:
		return manifest.Nanosecond
	}
	return ""
}

func intType(bits int8, signed bool) string {
	if signed {
		return fmt.Sprintf("int%d", uint8(bits))
	}
	return fmt.Sprintf("uint%d", uint8(bits))
}
