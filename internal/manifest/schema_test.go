package manifest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

func TestParseType(t *testing.T) {
	schema := compileSchema(t)
	published := func(s string) bool {
		quoted, _ := json.Marshal(s)
		return schema.Validate(decode(t, fields(`{"name":"a","type":`+string(quoted)+`,"children":[]}`))) == nil
	}
	valid := []manifest.Type{
		manifest.Null, manifest.Bool, manifest.Int8, manifest.Int16, manifest.Int32, manifest.Int64,
		manifest.Uint8, manifest.Uint16, manifest.Uint32, manifest.Uint64, manifest.Float16, manifest.Float32, manifest.Float64,
		manifest.UTF8, manifest.Binary, manifest.FixedSizeBinary(1), manifest.FixedSizeBinary(32), manifest.Decimal(1, 0), manifest.Decimal(15, 2), manifest.Decimal(76, 76),
		manifest.Date32, manifest.List, manifest.Struct, manifest.Map,
		manifest.Timestamp(manifest.Second, "Europe/Paris"), manifest.Timestamp(manifest.Microsecond, "+02:00"), manifest.Timestamp(manifest.Nanosecond, "UTC"),
	}
	for _, unit := range []manifest.Unit{manifest.Second, manifest.Millisecond, manifest.Microsecond, manifest.Nanosecond} {
		valid = append(valid, manifest.Time(unit), manifest.Timestamp(unit, ""))
	}
	for _, want := range valid {
		if got, err := manifest.ParseType(string(want)); got != want || err != nil {
			t.Errorf("%s: got %q, %v", want, got, err)
		}
		if nested := want == manifest.List || want == manifest.Struct || want == manifest.Map; !nested && !published(string(want)) {
			t.Errorf("%s: the JSON Schema refuses it", want)
		}
	}
	for _, s := range []string{"", "int", "Int64", "int128", "float8", "string", "fixed_size_binary", "fixed_size_binary(0)", "fixed_size_binary(01)", "decimal", "decimal(0,0)", "decimal(77,0)",
		"decimal(5,6)", "decimal(15, 2)", "decimal(5,-1)", "date64", "time32(us)", "time64(s)", "timestamp", "timestamp(us,)", "timestamp(us, UTC)", "timestamp(m)", "list(int64)", "int64\n"} {
		_, err := manifest.ParseType(s)
		if _, ok := errors.AsType[*dataset.SyntaxError](err); !ok || !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got error %v, want a *SyntaxError", s, err)
		}
		if published(s) && s != "decimal(5,6)" { // what no pattern can say
			t.Errorf("%q: the JSON Schema accepts it", s)
		}
	}
}

func FuzzParseType(f *testing.F) {
	f.Add("decimal(15,2)")
	f.Add("timestamp(us,UTC)")
	f.Add("time64(ms)")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := manifest.ParseType(s); err == nil && string(got) != s {
			t.Errorf("got %s, want %s", got, s)
		}
	})
}

func TestSchema_Equal(t *testing.T) {
	want := manifest.Schema{Fields: []manifest.Field{
		{Name: "a", Type: manifest.Int64},
		{Name: "l", Type: manifest.List, Nullable: true, Children: []manifest.Field{{Name: "element", Type: manifest.UTF8}}},
		{Name: "s", Type: manifest.Struct, Children: []manifest.Field{{Name: "x", Type: manifest.Bool}}},
	}}
	for _, test := range []struct {
		name   string
		change func(f []manifest.Field) []manifest.Field
		want   bool
	}{
		{"Same", func(f []manifest.Field) []manifest.Field { return f }, true},
		{"ElementName", func(f []manifest.Field) []manifest.Field { f[1].Children[0].Name = "item"; return f }, true},
		{"Missing", func(f []manifest.Field) []manifest.Field { return f[:2] }, false},
		{"OneMore", func(f []manifest.Field) []manifest.Field {
			return append(f, manifest.Field{Name: "z", Type: manifest.Int8})
		}, false},
		{"Order", func(f []manifest.Field) []manifest.Field { f[0], f[1] = f[1], f[0]; return f }, false},
		{"Type", func(f []manifest.Field) []manifest.Field { f[0].Type = manifest.Int32; return f }, false},
		{"Nullable", func(f []manifest.Field) []manifest.Field { f[0].Nullable = true; return f }, false},
		{"Element", func(f []manifest.Field) []manifest.Field { f[1].Children[0].Type = manifest.Binary; return f }, false},
		{"StructField", func(f []manifest.Field) []manifest.Field { f[2].Children[0].Name = "y"; return f }, false},
		{"NoChildren", func(f []manifest.Field) []manifest.Field { f[2].Children = nil; return f }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := manifest.Schema{Fields: test.change(copySchema(t, want).Fields)}
			if equal, back := want.Equal(got), got.Equal(want); equal != test.want || back != test.want {
				t.Errorf("got %v and back %v, want %v", equal, back, test.want)
			}
		})
	}
}

// copySchema goes through JSON, which is the form of a schema in a manifest.
func copySchema(t *testing.T, s manifest.Schema) (c manifest.Schema) {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	m := parse(t, []byte(table(`"kind":"parquet","schema":`+string(data))))
	if parsed := m.Tables[0].Schema; !parsed.Equal(c) {
		t.Fatalf("%s: parsed as %+v", data, parsed)
	}
	return c
}
