package datastore_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/annexfs/annexfs/datastore"
)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readFooter(data []byte) (datastore.ParquetInfo, error) {
	return datastore.ReadFooter(bytes.NewReader(data), int64(len(data)))
}

// parquetFile is a file with one column "id" of the values from first to last.
func parquetFile(t testing.TB, first, last int64) []byte {
	t.Helper()
	type record struct {
		ID int64 `parquet:"id"`
	}
	var b bytes.Buffer
	w := parquet.NewGenericWriter[record](&b)
	for id := first; id <= last; id++ {
		if _, err := w.Write([]record{{id}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadFooter(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rows      int64
		rowGroups int
		indices   bool
	}{
		{"pyarrow.parquet", 100, 2, true},
		{"pyarrow_v2.parquet", 100, 2, false},
		{"duckdb.parquet", 100, 1, false},
		{"nostatistics.parquet", 100, 1, false},
		{"norows.parquet", 0, 1, false},
		{"int96.parquet", 100, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := testdata(t, tt.name)
			info, err := readFooter(data)
			if err != nil {
				t.Fatal(err)
			}
			if info.Rows != tt.rows {
				t.Errorf("Rows = %d, want %d", info.Rows, tt.rows)
			}
			if got := len(info.File.RowGroups()); got != tt.rowGroups {
				t.Errorf("%d row groups, want %d", got, tt.rowGroups)
			}
			if !bytes.Equal(info.Bytes, data[info.Offset:]) {
				t.Errorf("Bytes are not the file's own from %d on", info.Offset)
			}
			footer := int64(len(data)) - 8 - int64(binary.LittleEndian.Uint32(data[len(data)-8:]))
			if got := info.Offset < footer; got != tt.indices {
				t.Errorf("Offset = %d, with page indices %t, want %t", info.Offset, got, tt.indices)
			}
			if got := len(info.File.ColumnIndexes()) > 0; got != tt.indices {
				t.Errorf("page indices read %t, want %t", got, tt.indices)
			}
		})
	}
}

// The page indices that the tail gives are those of the whole file.
func TestReadFooter_PageIndices(t *testing.T) {
	data := testdata(t, "pyarrow.parquet")
	info, err := readFooter(data)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.ColumnIndexes(), info.File.ColumnIndexes()); diff != "" {
		t.Errorf("column indices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(whole.OffsetIndexes(), info.File.OffsetIndexes()); diff != "" {
		t.Errorf("offset indices (-want +got):\n%s", diff)
	}
	for _, offset := range whole.OffsetIndexes() {
		if at := offset.PageLocations[0].Offset; at >= info.Offset {
			t.Errorf("a page at %d is in the tail, which begins at %d", at, info.Offset)
		}
	}
}

func TestReadFooter_Refuses(t *testing.T) {
	good := testdata(t, "duckdb.parquet")
	hole := append(bytes.Clone(good[:500]), good[1500:]...)
	wide := bytes.Clone(good)
	binary.LittleEndian.PutUint32(wide[len(wide)-8:], math.MaxUint32)
	for _, tt := range []struct {
		name, reason string
		data         []byte
	}{
		{"Empty", "empty", nil},
		{"Text", "begins with", []byte("id,name\n1,one\n")},
		{"OnlyMagic", "truncated", []byte("PAR1")},
		{"Truncated", "truncated", good[:len(good)-1]},
		{"OneByteMore", "truncated", append(bytes.Clone(good), 0)},
		{"MiddleMissing", "beyond the footer", hole},
		{"FooterTooLong", "does not fit", wide},
		{"ListTooLong", "ends too early", withFooter("\x29\xfc\xff\xff\xff\xff\x07\x00")}, // 2^31-1 schema elements
		{"BytesTooLong", "ends too early", withFooter("\x68\xff\xff\xff\xff\x07\x00")},    // as many bytes of created_by
		{"TooDeep", "nested too deeply", withFooter(strings.Repeat("\xfc", 1000))},
		{"NoFooter", "cannot be read", withFooter("\x00")},
		{"Encrypted", "encrypted", testdata(t, "encrypted.parquet")},
		{"EncryptedColumns", "encrypted", testdata(t, "encrypted_columns.parquet")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readFooter(tt.data)
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("%d MB were allocated, want next to none", used>>20)
			}
			var format *datastore.FormatError
			if !errors.As(err, &format) || !errors.Is(err, fs.ErrInvalid) {
				t.Fatalf("got %v, want a FormatError", err)
			}
			if !strings.Contains(format.Reason, tt.reason) {
				t.Errorf("reason %q, want one with %q", format.Reason, tt.reason)
			}
		})
	}
}

// withFooter is a file with nothing but a footer.
func withFooter(footer string) []byte {
	data := binary.LittleEndian.AppendUint32([]byte("PAR1"+footer), uint32(len(footer)))
	return append(data, "PAR1"...)
}

// A file whose page indices cannot be read is still one, kept without them.
func TestReadFooter_BrokenPageIndices(t *testing.T) {
	good := testdata(t, "pyarrow.parquet")
	want, err := readFooter(good)
	if err != nil {
		t.Fatal(err)
	}
	footer := int64(len(good)) - 8 - int64(binary.LittleEndian.Uint32(good[len(good)-8:]))
	for name, module := range map[string]string{
		"ListTooLong": "\x19\xf1\xff\xff\xff\xff\x07", // null pages
		"Nonsense":    "\xff\xff\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			data := bytes.Clone(good)
			copy(data[want.Offset:], module)
			got, err := readFooter(data)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "offset", footer, got.Offset)
			wantEqual(t, "column indices", 0, len(got.File.ColumnIndexes()))
			wantEqual(t, "statistics", want.Statistics, got.Statistics)
		})
	}
}

// However much of a file is there, it is not taken for a whole one.
func TestReadFooter_EveryTruncation(t *testing.T) {
	data := testdata(t, "duckdb.parquet")
	for n := range data {
		if _, err := readFooter(data[:n]); !errors.Is(err, fs.ErrInvalid) {
			t.Fatalf("the first %d of %d bytes: got %v, want fs.ErrInvalid", n, len(data), err)
		}
	}
}

func TestReadFooter_ReadError(t *testing.T) {
	_, err := datastore.ReadFooter(brokenReader{}, 100)
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }

func TestReadFooter_Statistics(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"pyarrow.parquet", pyarrowStatistics},
		{"pyarrow_v2.parquet", pyarrowStatistics},
		{"duckdb.parquet", duckdbStatistics},
		{"nostatistics.parquet", `{}`},
		{"norows.parquet", `{}`},
		{"int96.parquet", `{}`},
	} {
		t.Run(tt.file, func(t *testing.T) {
			info, err := readFooter(testdata(t, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]datastore.ColumnStatistics
			if err := json.Unmarshal([]byte(tt.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, info.Statistics.Columns); diff != "" {
				t.Errorf("statistics (-want +got):\n%s", diff)
			}
		})
	}
}

// The writer truncates neither; "time" and "bin" have no bounds here, "list" nothing, and "p.q" is two columns.
const pyarrowStatistics = `{
	"i8": {"type": "int", "min": -128, "max": -29, "nulls": 0},
	"i32": {"type": "int", "min": -50, "max": 49, "nulls": 0},
	"i64": {"type": "int", "min": 4611686018427387904, "max": 4611686018427388003, "nulls": 0},
	"u32": {"type": "int", "min": 4294967196, "max": 4294967295, "nulls": 0},
	"u64": {"type": "int", "min": 18446744073709551516, "max": 18446744073709551615, "nulls": 0},
	"f32": {"type": "float", "min": -0, "max": 9.899999618530273, "nulls": 0},
	"f64": {"type": "double", "min": -0, "max": 9.9, "nulls": 0},
	"nan": {"type": "double", "min": -0, "max": 98, "nulls": 0},
	"inf": {"type": "double", "min": -0, "nulls": 0},
	"d9": {"type": "decimal", "min": "-0.50", "max": "0.49", "nulls": 0},
	"d38": {"type": "decimal", "min": "-0.0000000050", "max": "0.0000000049", "nulls": 0},
	"date": {"type": "date", "min": "1994-01-01", "max": "1994-04-10", "nulls": 0},
	"old": {"type": "date", "min": "0001-01-01", "max": "0001-04-10", "nulls": 0},
	"ms": {"type": "timestamp_local", "min": "1963-10-02T12:00:00.250", "max": "1964-01-09T12:00:00.250", "nulls": 0},
	"us": {"type": "timestamp", "min": "1994-01-01T12:00:00.250000Z", "max": "1994-01-05T15:00:00.250000Z", "nulls": 0},
	"ns": {"type": "timestamp_local", "min": "1994-01-01T12:00:00.250000000", "max": "1994-01-01T12:01:39.250000000", "nulls": 0},
	"time": {"nulls": 0},
	"s": {"type": "string", "min": "", "max": "0099 ★ \u003c\u0026\u003e", "nulls": 0},
	"bin": {"nulls": 0},
	"b": {"type": "bool", "min": false, "max": true, "nulls": 0},
	"false": {"type": "bool", "min": false, "max": false, "nulls": 0},
	"null": {"nulls": 100},
	"some": {"type": "int", "min": 1, "max": 98, "nulls": 34},
	"part": {"type": "int", "min": 0, "max": 39, "nulls": 60},
	"st.x": {"type": "int", "min": 0, "max": 99, "nulls": 0},
	"st.y": {"type": "string", "min": "y", "max": "y", "nulls": 50},
	"a,b": {"type": "int", "min": 0, "max": 99, "nulls": 0}
}`

// "long" has bounds in the file that are not exact.
const duckdbStatistics = `{
	"i": {"type": "int", "min": 0, "max": 99, "nulls": 0},
	"d": {"type": "decimal", "min": "0.000", "max": "12.375", "nulls": 0},
	"f": {"type": "double", "min": 0, "max": 9.9, "nulls": 0},
	"date": {"type": "date", "min": "1994-01-01", "max": "1994-04-10", "nulls": 0},
	"ts": {"type": "timestamp_local", "min": "1994-01-01T12:00:00.000000", "max": "1994-01-05T15:00:00.000000", "nulls": 0},
	"tz": {"type": "timestamp", "min": "1994-01-01T12:00:00.000000Z", "max": "1994-01-05T15:00:00.000000Z", "nulls": 0},
	"s": {"type": "string", "min": "s0", "max": "s99", "nulls": 0},
	"long": {"nulls": 0},
	"b": {"type": "bool", "min": false, "max": true, "nulls": 0},
	"some": {"type": "int", "min": 1, "max": 99, "nulls": 25}
}`

// Whatever a footer says, reading it ends, and what is accepted are the file's own bytes and statistics that can be
// written down.
func FuzzReadFooter(f *testing.F) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	seeds := [][]byte{parquetFile(f, 1, 10)}
	for _, name := range files {
		seeds = append(seeds, testdata(f, filepath.Base(name)))
	}
	for _, data := range seeds {
		footer := len(data) - 8 - int(binary.LittleEndian.Uint32(data[len(data)-8:]))
		f.Add(data[:footer], data[footer:len(data)-8])
	}
	f.Fuzz(func(t *testing.T, body, footer []byte) {
		data := append(bytes.Clone(body), footer...)
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(footer))), "PAR1"...)
		info, err := readFooter(data)
		if err != nil {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Fatalf("got %v, want fs.ErrInvalid", err)
			}
			return
		}
		if !bytes.Equal(info.Bytes, data[info.Offset:]) {
			t.Error("Bytes are not the file's own")
		}
		if _, err := json.Marshal(info.Statistics); err != nil {
			t.Error(err)
		}
	})
}
