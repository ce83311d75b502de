package ingest_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annexfs/annexfs/datastore"
	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/fault"
	"github.com/annexfs/annexfs/internal/ingest"
	"github.com/annexfs/annexfs/internal/manifest"
)

func check(data []byte, t manifest.Table, keys map[string]string) (datastore.ParquetInfo, error) {
	return ingest.Check(bytes.NewReader(data), int64(len(data)), t, keys)
}

func parquetTable(fields ...manifest.Field) manifest.Table {
	return manifest.Table{Name: "t", Kind: manifest.Parquet, Schema: manifest.Schema{Fields: fields}, PartitionBy: []string{"region"}}
}

func TestCheck_Schema(t *testing.T) {
	type row struct {
		ID     int64   `parquet:"id"`
		Name   *string `parquet:"name,optional"`
		Region string  `parquet:"region"`
	}
	ann := "ann"
	data := encode(t, row{1, &ann, "eu"}, row{2, nil, "eu"})
	id, name, region := field("id", manifest.Int64), field("name", manifest.UTF8), field("region", manifest.UTF8)
	tests := []struct {
		name   string
		fields []manifest.Field
		keys   map[string]string
		want   []string // of the error; none: it fits
	}{
		{"same", []manifest.Field{id, name, region}, nil, nil},
		{"other order", []manifest.Field{region, id, name}, nil, nil},
		{"not nullable where the file is not", []manifest.Field{required(id), name, region}, nil, nil},
		{"in its partition", []manifest.Field{id, name, region}, map[string]string{"region": "eu"}, nil},
		{"in another partition", []manifest.Field{id, name, region}, map[string]string{"region": "us"}, []string{"column region holds eu, its directory says us"}},
		{"nulls where there may be none", []manifest.Field{id, required(name), region}, nil, []string{"column name holds 1 nulls, the table has it not nullable"}},
		{"other type", []manifest.Field{field("id", manifest.Int32), name, region}, nil, []string{"column id is int64, the table has int32"}},
		{"column missing", []manifest.Field{id, name, region, field("more", manifest.Date32)}, nil, []string{"column more (date32) is missing"}},
		{"column too many", []manifest.Field{id, name}, nil, []string{"column region (utf8) is not in the table"}},
		{"several", []manifest.Field{field("id", manifest.Int32), field("Name", manifest.UTF8)}, nil, []string{
			"column id is int64, the table has int32", "column Name (utf8) is missing", "column name (utf8) is not in the table", "column region (utf8) is not in the table",
		}},
		{"partition in the directory alone", []manifest.Field{id, name, region, field("year", manifest.Int32)}, map[string]string{"year": "2026"}, []string{
			"column year (int32) is missing", "write it into the files too",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			info, err := check(data, parquetTable(tt.fields...), tt.keys)
			if tt.want == nil {
				if err != nil {
					t.Fatalf("Check: %v", err)
				}
				if diff := cmp.Diff(tt.keys, info.Statistics.Keys); diff != "" || info.Rows != 2 {
					t.Errorf("keys (-want +got):\n%s; rows: got %d, want 2", diff, info.Rows)
				}
				return
			}
			if !errors.Is(err, fault.ErrConflict) {
				t.Fatalf("Check: got %v, want a conflict", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Check: got %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

// TestCheck_ArrowTypes has what Arrow knows and parquet does not: seconds, zones, and names of elements.
func TestCheck_ArrowTypes(t *testing.T) {
	data, err := os.ReadFile("testdata/pyarrow.parquet")
	if err != nil {
		t.Fatal(err)
	}
	schema := schemaOf(t, data)
	set := func(name string, f func(*manifest.Field)) manifest.Schema {
		s := manifest.Schema{Fields: append([]manifest.Field{}, schema.Fields...)}
		for i := range s.Fields {
			if s.Fields[i].Name == name {
				f(&s.Fields[i])
			}
		}
		return s
	}
	tests := []struct {
		name   string
		schema manifest.Schema
		want   string
	}{
		{"seconds", set("ts_s", func(f *manifest.Field) { f.Type = manifest.Timestamp(manifest.Second, "") }), ""},
		{"time of seconds", set("time_ms", func(f *manifest.Field) { f.Type = manifest.Time(manifest.Second) }), ""},
		{"zone", set("ts_us_paris", func(f *manifest.Field) { f.Type = manifest.Timestamp(manifest.Microsecond, "Europe/Paris") }), ""},
		{"no zone", set("ts_us_paris", func(f *manifest.Field) { f.Type = manifest.Timestamp(manifest.Microsecond, "") }),
			"column ts_us_paris is timestamp(us,UTC), the table has timestamp(us)"},
		{"other unit", set("ts_ns", func(f *manifest.Field) { f.Type = manifest.Timestamp(manifest.Microsecond, "") }),
			"column ts_ns is timestamp(ns), the table has timestamp(us)"},
		{"element's name", set("list", func(f *manifest.Field) { f.Children = []manifest.Field{field("item", manifest.Int32)} }), ""},
		{"element's type", set("list", func(f *manifest.Field) { f.Children = []manifest.Field{field("item", manifest.Int64)} }),
			"column list.item is int32, the table has int64"},
		{"field of a struct", set("struct", func(f *manifest.Field) { f.Children = []manifest.Field{field("x", manifest.Int32)} }),
			"column struct.y (list) is not in the table"},
		{"nulls counted", set("date", func(f *manifest.Field) { f.Nullable = false }), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := check(data, parquetTable(tt.schema.Fields...), nil)
			if tt.want == "" && err != nil {
				t.Errorf("Check: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Check: got %v, want it to contain %q", err, tt.want)
			}
		})
	}
}

func TestCheck_NotParquet(t *testing.T) {
	good := encode(t, person{1, "ann"})
	tests := []struct {
		name, want string
		data       []byte
	}{
		{"empty", "it is empty", nil},
		{"text", "begins with", []byte("id,name\n1,ann\n")},
		{"truncated", "truncated", good[:len(good)-9]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := check(tt.data, people, nil)
			if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check: got %v, want fs.ErrInvalid that contains %q", err, tt.want)
			}
		})
	}
}

func TestFileName(t *testing.T) {
	sum := [32]byte{0x9f, 0x2c, 0, 1, 2, 3, 4, 5, 6}
	bounds := datastore.Statistics{Columns: map[string]datastore.ColumnStatistics{
		"id":       {Type: datastore.TypeInt, Min: []byte("42")},
		"negative": {Type: datastore.TypeInt, Min: []byte("-1")},
		"price":    {Type: datastore.TypeDouble, Min: []byte("1.5")},
	}}
	tests := []struct{ name, column, want string }{
		{"a.parquet", "id", "000000042-9f2c000102030405.parquet"},
		{"a.parquet", "", "000000007-9f2c000102030405.parquet"},
		{"a.parquet", "negative", "000000007-9f2c000102030405.parquet"},
		{"a.parquet", "price", "000000007-9f2c000102030405.parquet"},
		{"a.parquet", "unknown", "000000007-9f2c000102030405.parquet"},
		{"1234567890123-00000000000000ff.parquet", "id", "1234567890123-00000000000000ff.parquet"},
	}
	for _, tt := range tests {
		if got := ingest.FileName(tt.name, tt.column, bounds, 7, sum).String(); got != tt.want {
			t.Errorf("FileName(%q, %q) = %q, want %q", tt.name, tt.column, got, tt.want)
		}
	}
	if got, want := ingest.FileName("x", "", bounds, 1, sum), (dataset.FileName{Block: 1, Suffix: 0x9f2c000102030405}); got != want {
		t.Errorf("FileName: got %v, want %v", got, want)
	}
}

func TestPartitions(t *testing.T) {
	table := manifest.Table{PartitionBy: []string{"region", "year"}}
	tests := []struct {
		dir  string
		want map[string]string
		err  string
	}{
		{".", nil, ""},
		{"raw/2026", nil, ""},
		{"region=eu", map[string]string{"region": "eu"}, ""},
		{"x/region=a%20b/year=2026", map[string]string{"region": "a b", "year": "2026"}, ""},
		{"year=2026/region=eu", nil, "not in the order"},
		{"region=eu/region=us", nil, "not in the order"},
		{"month=1", nil, "names no partition column of the table (partition_by: region, year)"},
	}
	for _, tt := range tests {
		got, err := ingest.Partitions(table, tt.dir)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("Partitions(%q) = %v, %v; want %v, %q", tt.dir, got, err, tt.want, tt.err)
		}
	}
	if _, err := ingest.Partitions(manifest.Table{}, "region=eu"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Partitions without partition_by: got %v, want fs.ErrInvalid", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(encode(f, person{1, "ann"}), "name=ann")
	f.Add([]byte("PAR1"), "a=b/c=d")
	for _, name := range []string{"testdata/pyarrow.parquet", "testdata/duckdb.parquet"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, ".")
	}
	table := people
	table.PartitionBy = []string{"name"}
	f.Fuzz(func(t *testing.T, data []byte, dir string) {
		keys, err := ingest.Partitions(table, dir)
		if err != nil && !errors.Is(err, fs.ErrInvalid) {
			t.Fatalf("Partitions(%q): %v is no fs.ErrInvalid", dir, err)
		}
		info, err := check(data, table, keys)
		switch {
		case err != nil && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fault.ErrConflict):
			t.Errorf("Check: %v is neither fs.ErrInvalid nor a conflict", err)
		case err == nil && info.File == nil:
			t.Error("Check: a file that fits has no metadata")
		}
	})
}
