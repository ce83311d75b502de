package ingest_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
)

func field(name string, t manifest.Type, children ...manifest.Field) manifest.Field {
	return manifest.Field{Name: name, Type: t, Nullable: true, Children: children}
}

func required(f manifest.Field) manifest.Field {
	f.Nullable = false
	return f
}

func schemaOf(t testing.TB, data []byte) manifest.Schema {
	t.Helper()
	info, err := datastore.ReadFooter(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := ingest.SchemaOf(info.File)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSchemaOf_Writers(t *testing.T) {
	xy := field("struct", manifest.Struct,
		field("x", manifest.Int32), field("y", manifest.List, field("element", manifest.UTF8)))
	dictionary := field("map", manifest.Map, required(field("key", manifest.UTF8)), field("value", manifest.Float64))
	want := map[string][]manifest.Field{
		"pyarrow": {
			required(field("bool", manifest.Bool)), field("i8", manifest.Int8), field("i16", manifest.Int16),
			field("u8", manifest.Uint8), field("u16", manifest.Uint16), field("u64", manifest.Uint64),
			field("f16", manifest.Float16), field("f32", manifest.Float32),
			field("text", manifest.UTF8), field("dict", manifest.UTF8), field("bin", manifest.Binary),
			field("fixed", manifest.FixedSizeBinary(7)), field("dec9", manifest.Decimal(9, 2)), field("dec50", manifest.Decimal(50, 2)),
			field("date", manifest.Date32), field("time_ms", manifest.Time(manifest.Millisecond)), field("time_ns", manifest.Time(manifest.Nanosecond)),
			field("ts_s", manifest.Timestamp(manifest.Millisecond, "")), field("ts_us_paris", manifest.Timestamp(manifest.Microsecond, "UTC")),
			field("ts_ns", manifest.Timestamp(manifest.Nanosecond, "")), field("null", manifest.Null),
			field("list", manifest.List, field("element", manifest.Int32)), xy, dictionary,
		},
		"duckdb": {
			field("i8", manifest.Int8), field("u32", manifest.Uint32), field("dec", manifest.Decimal(18, 3)),
			field("text", manifest.UTF8), field("bin", manifest.Binary), field("enum", manifest.UTF8),
			field("uuid", manifest.FixedSizeBinary(16)), field("date", manifest.Date32), field("time", manifest.Time(manifest.Microsecond)),
			field("ts", manifest.Timestamp(manifest.Microsecond, "")), field("tstz", manifest.Timestamp(manifest.Microsecond, "UTC")),
			field("ts_ns", manifest.Timestamp(manifest.Nanosecond, "")),
			field("list", manifest.List, field("element", manifest.Int32)),
			field("struct", manifest.Struct, field("x", manifest.Int32), field("y", manifest.UTF8)), dictionary,
		},
	}
	for writer, fields := range want {
		t.Run(writer, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", writer+".parquet"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(manifest.Schema{Fields: fields}, schemaOf(t, data)); diff != "" {
				t.Errorf("schema (-want +got):\n%s", diff)
			}
		})
	}
}

// element is a schema element: a leaf where it has a type, else a group of so many children.
func element(name string, repetition format.FieldRepetitionType, children int32, edit func(*format.SchemaElement)) format.SchemaElement {
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(repetition)}
	if children > 0 {
		e.NumChildren = thrift.New(children)
	} else {
		e.Type = thrift.New(format.Int32)
	}
	if edit != nil {
		edit(&e)
	}
	return e
}

func converted(c deprecated.ConvertedType) func(*format.SchemaElement) {
	return func(e *format.SchemaElement) { e.ConvertedType = thrift.New(c) }
}

// fileOf is a parquet file without rows that has this schema.
func fileOf(t testing.TB, columns int32, elements ...format.SchemaElement) []byte {
	t.Helper()
	root := format.SchemaElement{Name: "root", NumChildren: thrift.New(columns)}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{Version: 1, Schema: append([]format.SchemaElement{root}, elements...)})
	if err != nil {
		t.Fatal(err)
	}
	data := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(data, uint32(len(footer))), "PAR1"...)
}

// TestSchemaOf_OldLists has the forms of lists that parquet's rules for backward compatibility name.
func TestSchemaOf_OldLists(t *testing.T) {
	list, leaf := converted(deprecated.List), element("x", format.Required, 0, nil)
	tests := []struct {
		name     string
		elements []format.SchemaElement
		want     manifest.Field
	}{
		{
			"three levels", []format.SchemaElement{element("l", format.Optional, 1, list), element("bag", format.Repeated, 1, nil), element("x", format.Optional, 0, nil)},
			field("l", manifest.List, field("x", manifest.Int32)),
		}, {
			"repeated leaf in a list", []format.SchemaElement{element("l", format.Optional, 1, list), element("e", format.Repeated, 0, nil)},
			field("l", manifest.List, required(field("e", manifest.Int32))),
		}, {
			"repeated group of two", []format.SchemaElement{element("l", format.Required, 1, list), element("e", format.Repeated, 2, nil), leaf, element("y", format.Required, 0, nil)},
			required(field("l", manifest.List, required(field("e", manifest.Struct, required(field("x", manifest.Int32)), required(field("y", manifest.Int32)))))),
		}, {
			"group called array", []format.SchemaElement{element("l", format.Optional, 1, list), element("array", format.Repeated, 1, nil), leaf},
			field("l", manifest.List, required(field("array", manifest.Struct, required(field("x", manifest.Int32))))),
		}, {
			"group called like the list", []format.SchemaElement{element("l", format.Optional, 1, list), element("l_tuple", format.Repeated, 1, nil), leaf},
			field("l", manifest.List, required(field("l_tuple", manifest.Struct, required(field("x", manifest.Int32))))),
		}, {
			"repeated without a list", []format.SchemaElement{element("l", format.Repeated, 0, nil)},
			required(field("l", manifest.List, required(field("l", manifest.Int32)))),
		}, {
			"map", []format.SchemaElement{element("m", format.Optional, 1, converted(deprecated.MapKeyValue)), element("map", format.Repeated, 2, nil), leaf, element("y", format.Optional, 0, nil)},
			field("m", manifest.Map, required(field("x", manifest.Int32)), field("y", manifest.Int32)),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(manifest.Schema{Fields: []manifest.Field{tt.want}}, schemaOf(t, fileOf(t, 1, tt.elements...))); diff != "" {
				t.Errorf("schema (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSchemaOf_ConvertedTypes(t *testing.T) {
	want := map[deprecated.ConvertedType]manifest.Type{
		deprecated.UTF8: manifest.UTF8, deprecated.Enum: manifest.UTF8, deprecated.Json: manifest.UTF8, deprecated.Bson: manifest.Binary,
		deprecated.Date: manifest.Date32, deprecated.Decimal: manifest.Decimal(9, 2),
		deprecated.TimeMillis: manifest.Time(manifest.Millisecond), deprecated.TimeMicros: manifest.Time(manifest.Microsecond),
		deprecated.TimestampMillis: manifest.Timestamp(manifest.Millisecond, "UTC"), deprecated.TimestampMicros: manifest.Timestamp(manifest.Microsecond, "UTC"),
		deprecated.Int8: manifest.Int8, deprecated.Int16: manifest.Int16, deprecated.Int32: manifest.Int32, deprecated.Int64: manifest.Int64,
		deprecated.Uint8: manifest.Uint8, deprecated.Uint16: manifest.Uint16, deprecated.Uint32: manifest.Uint32, deprecated.Uint64: manifest.Uint64,
		deprecated.Interval: manifest.FixedSizeBinary(12),
	}
	physical := map[deprecated.ConvertedType]format.Type{
		deprecated.UTF8: format.ByteArray, deprecated.Enum: format.ByteArray, deprecated.Json: format.ByteArray, deprecated.Bson: format.ByteArray,
		deprecated.TimeMicros: format.Int64, deprecated.TimestampMillis: format.Int64, deprecated.TimestampMicros: format.Int64,
		deprecated.Int64: format.Int64, deprecated.Uint64: format.Int64, deprecated.Interval: format.FixedLenByteArray,
	}
	for c, typ := range want {
		data := fileOf(t, 1, element("c", format.Optional, 0, func(e *format.SchemaElement) {
			e.ConvertedType = thrift.New(c)
			if p, ok := physical[c]; ok {
				e.Type = thrift.New(p)
			}
			e.TypeLength, e.Precision, e.Scale = thrift.New(int32(12)), thrift.New(int32(9)), thrift.New(int32(2))
		}))
		if diff := cmp.Diff(manifest.Schema{Fields: []manifest.Field{field("c", typ)}}, schemaOf(t, data)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c, diff)
		}
	}
}
