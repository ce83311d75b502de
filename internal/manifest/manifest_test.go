package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/annexfs/annexfs/internal/dataset"
	"github.com/annexfs/annexfs/internal/manifest"
)

const minimal = `{"kind":"dataset","tables":{"t":{"kind":"parquet","schema":{"fields":[{"name":"a","type":"int64"},{"name":"b","nullable":false,"type":"utf8"}]}}}}`

func TestParse(t *testing.T) {
	m := parse(t, example(t, "mixed.json"))
	transfers, found := m.Table("transfers")
	if !found {
		t.Fatal("table transfers: not found")
	}
	want := manifest.Table{
		Name: "transfers",
		Kind: manifest.Parquet,
		Schema: manifest.Schema{Fields: []manifest.Field{
			{Name: "block_num", Type: manifest.Uint64},
			{Name: "timestamp", Type: manifest.Timestamp(manifest.Nanosecond, "UTC")},
			{Name: "day", Type: manifest.Date32},
			{Name: "network", Type: manifest.UTF8},
			{Name: "tx_hash", Type: manifest.FixedSizeBinary(32)},
			{Name: "value", Type: manifest.Decimal(76, 0), Nullable: true},
			{Name: "topics", Type: manifest.List, Nullable: true, Children: []manifest.Field{{Name: "element", Type: manifest.Binary, Nullable: true}}},
			{Name: "receipt", Type: manifest.Struct, Nullable: true, Children: []manifest.Field{
				{Name: "status", Type: manifest.Bool}, {Name: "gas_used", Type: manifest.Uint64, Nullable: true}}},
			{Name: "labels", Type: manifest.Map, Nullable: true, Children: []manifest.Field{
				{Name: "key", Type: manifest.UTF8}, {Name: "value", Type: manifest.UTF8, Nullable: true}}},
		}},
		SortBy:      []manifest.SortKey{{Column: "block_num"}, {Column: "value", Descending: true, NullsFirst: true}},
		PartitionBy: []string{"network", "day"},
		BlockColumn: "block_num",
		Compression: map[string]string{"tx_hash": "uncompressed", "value": "zstd"},
	}
	if diff := cmp.Diff(want, transfers); diff != "" {
		t.Errorf("transfers: want(-), got(+):\n%s", diff)
	}
	contracts, _ := m.Table("contracts")
	if diff := cmp.Diff(manifest.Table{Name: "contracts", Kind: manifest.Files, KeyColumns: []string{"address"}}, contracts); diff != "" {
		t.Errorf("contracts: want(-), got(+):\n%s", diff)
	}
	if _, found := m.Table("none"); found || len(m.Tables) != 2 || m.Tables[0].Name != "contracts" || m.Kind != "dataset" {
		t.Errorf("got kind %s and tables %v", m.Kind, m.Tables)
	}
	dependencies := make(map[string]string)
	for alias, ref := range m.Dependencies {
		dependencies[alias] = ref.String()
	}
	wantDependencies := map[string]string{
		"prices": "markets/token-prices@2.1.0",
		"chain":  "edge/eth-mainnet@2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
	}
	if diff := cmp.Diff(wantDependencies, dependencies); diff != "" {
		t.Errorf("dependencies: want(-), got(+):\n%s", diff)
	}
}

func TestParse_Form(t *testing.T) {
	spaced := strings.NewReplacer(`"kind":"dataset",`, "", `}}}}`, "}}} ,\n \"k\\u0069nd\" : \"dataset\" }", ":", " : ").Replace(minimal)
	a, b := parse(t, []byte(minimal)), parse(t, []byte(spaced))
	if a.Hash != b.Hash || !bytes.Equal(a.Bytes, b.Bytes) {
		t.Errorf("got %s and %s of the same manifest:\n%s\n%s", a.Hash, b.Hash, a.Bytes, b.Bytes)
	}
	if string(a.Bytes) != minimal {
		t.Errorf("got %s\nwant %s", a.Bytes, minimal)
	}
	if want := dataset.Hash(sha256.Sum256([]byte(minimal))); a.Hash != want {
		t.Errorf("got the hash %s, want %s", a.Hash, want)
	}
	unknown := strings.Replace(minimal, `{"kind":"dataset"`, `{"kind":"dataset","mine":{"x":[1,null]}`, 1)
	unknown = strings.Replace(unknown, `"type":"int64"`, `"doc":"mine too","type":"int64"`, 1)
	c := parse(t, []byte(unknown))
	if c.Hash == a.Hash || !bytes.Contains(c.Bytes, []byte(`"mine":{"x":[1,null]}`)) || !bytes.Contains(c.Bytes, []byte(`"doc":"mine too"`)) {
		t.Errorf("unknown members: got %s", c.Bytes)
	}
}

// bad are manifests with what is wrong with them: the paths of the errors in their order, and a part of the first reason.
// Blind are those that no JSON Schema can refuse.
var bad = map[string]struct {
	input  string
	paths  []string
	reason string
	blind  bool
}{
	"NotAnObject":         {`[]`, []string{""}, "is an array", false},
	"NoKind":              {`{"tables":{}}`, []string{"kind"}, "is missing", false},
	"OtherKind":           {`{"kind":"view","tables":{}}`, []string{"kind"}, `"view"`, false},
	"KindOfOtherType":     {`{"kind":1,"tables":{}}`, []string{"kind"}, "is a number", false},
	"NoTables":            {`{"kind":"dataset"}`, []string{"tables"}, "is missing", false},
	"TablesOfOtherType":   {`{"kind":"dataset","tables":[]}`, []string{"tables"}, "is an array", false},
	"TableName":           {`{"kind":"dataset","tables":{"1 t":{"kind":"files"}}}`, []string{`tables["1 t"]`}, "allowed are 1 to 63", false},
	"TableOfOtherType":    {`{"kind":"dataset","tables":{"t":null}}`, []string{"tables.t"}, "is null", false},
	"NoTableKind":         {table(`"schema":{"fields":[{"name":"a","type":"int64"}]}`), []string{"tables.t.kind"}, "is missing", false},
	"OtherTableKind":      {table(`"kind":"csv"`), []string{"tables.t.kind"}, `allowed are "parquet" or "files"`, false},
	"NoSchema":            {table(`"kind":"parquet"`), []string{"tables.t.schema"}, "is missing", false},
	"SchemaOfOtherType":   {table(`"kind":"parquet","schema":"int64"`), []string{"tables.t.schema"}, "is a string", false},
	"NoFields":            {table(`"kind":"parquet","schema":{}`), []string{"tables.t.schema.fields"}, "is missing", false},
	"EmptyFields":         {table(`"kind":"files","schema":{"fields":[]}`), []string{"tables.t.schema.fields"}, "is empty", false},
	"FieldsOfOtherType":   {table(`"kind":"parquet","schema":{"fields":{"a":"int64"}}`), []string{"tables.t.schema.fields"}, "is an object", false},
	"FieldOfOtherType":    {fields(`"a"`), []string{"tables.t.schema.fields[0]"}, "is a string", false},
	"FieldWithoutName":    {fields(`{"type":"int64"}`), []string{"tables.t.schema.fields[0].name"}, "is missing", false},
	"EmptyFieldName":      {fields(`{"name":"","type":"int64"}`), []string{"tables.t.schema.fields[0].name"}, "is empty", false},
	"FieldWithoutType":    {fields(`{"name":"a"}`), []string{"tables.t.schema.fields[0].type"}, "is missing", false},
	"UnknownType":         {fields(`{"name":"a","type":"int64"},{"name":"b","type":"utf8"},{"name":"c","type":"string"}`), []string{"tables.t.schema.fields[2].type"}, `"string": it is no type; allowed are null, bool`, false},
	"TypeOfOtherType":     {fields(`{"name":"a","type":{"name":"int"}}`), []string{"tables.t.schema.fields[0].type"}, "is an object", false},
	"Scale":               {fields(`{"name":"a","type":"decimal(5,6)"}`), []string{"tables.t.schema.fields[0].type"}, "scale is above", true},
	"Nullable":            {fields(`{"name":"a","type":"int64","nullable":"no"}`), []string{"tables.t.schema.fields[0].nullable"}, "true or false", false},
	"SameFieldTwice":      {fields(`{"name":"a","type":"int64"},{"name":"a","type":"utf8"}`), []string{"tables.t.schema.fields[1]"}, "twice", true},
	"ChildrenOfScalar":    {fields(`{"name":"a","type":"int64","children":[{"name":"b","type":"int64"}]}`), []string{"tables.t.schema.fields[0].children"}, "only list, map and struct", false},
	"ChildrenNoArray":     {fields(`{"name":"a","type":"int64","children":{}}`), []string{"tables.t.schema.fields[0].children"}, "only list", false},
	"ListWithoutChildren": {fields(`{"name":"a","type":"list"}`), []string{"tables.t.schema.fields[0].children"}, "one child", false},
	"ListOfTwo":           {fields(`{"name":"a","type":"list","children":[{"name":"b","type":"int64"},{"name":"c","type":"int64"}]}`), []string{"tables.t.schema.fields[0].children"}, "one child", false},
	"MapOfOne":            {fields(`{"name":"a","type":"map","children":[{"name":"b","type":"int64"}]}`), []string{"tables.t.schema.fields[0].children"}, "two children", false},
	"EmptyStruct":         {fields(`{"name":"a","type":"struct","children":[]}`), []string{"tables.t.schema.fields[0].children"}, "is empty", false},
	"BadChild":            {fields(`{"name":"a","type":"struct","children":[{"name":"b","type":"int64"},{"name":"c","type":"int"}]}`), []string{"tables.t.schema.fields[0].children[1].type"}, `"int"`, false},
	"SortByOfOtherType":   {with(`"sort_by":"a"`), []string{"tables.t.sort_by"}, "is a string", false},
	"SortKeyOfOtherType":  {with(`"sort_by":["a",1]`), []string{"tables.t.sort_by[1]"}, "is a number", false},
	"SortKeyNoColumn":     {with(`"sort_by":[{"descending":true}]`), []string{"tables.t.sort_by[0].column"}, "is missing", false},
	"SortKeyDirection":    {with(`"sort_by":[{"column":"a","descending":"yes"}]`), []string{"tables.t.sort_by[0].descending"}, "true or false", false},
	"SortKeyNulls":        {with(`"sort_by":[{"column":"a","nulls_first":1}]`), []string{"tables.t.sort_by[0].nulls_first"}, "true or false", false},
	"SortByNoColumn":      {with(`"sort_by":["z"]`), []string{"tables.t.sort_by[0]"}, "allowed are a, b, l", true},
	"SortByTwice":         {with(`"sort_by":["a",{"column":"a"}]`), []string{"tables.t.sort_by[1]"}, "twice", true},
	"SortByList":          {with(`"sort_by":["l"]`), []string{"tables.t.sort_by[0]"}, "no order", true},
	"PartitionOfOther":    {with(`"partition_by":{"a":1}`), []string{"tables.t.partition_by"}, "is an object", false},
	"PartitionTwice":      {with(`"partition_by":["b","b"]`), []string{"tables.t.partition_by[1]"}, "twice", false},
	"PartitionByList":     {with(`"partition_by":["l"]`), []string{"tables.t.partition_by"}, "names no directory", true},
	"PartitionByAll":      {with(`"partition_by":["a","b","l"]`), []string{"tables.t.partition_by", "tables.t.partition_by"}, "every column", true},
	"BlockColumn":         {with(`"block_column":"z"`), []string{"tables.t.block_column"}, "no column", true},
	"BlockColumnType":     {with(`"block_column":"b"`), []string{"tables.t.block_column"}, "integer type", true},
	"BlockColumnNull":     {with(`"block_column":null`), []string{"tables.t.block_column"}, "is null", false},
	"BlockColumnEmpty":    {with(`"block_column":""`), []string{"tables.t.block_column"}, "is empty", false},
	"CompressionOfOther":  {with(`"compression":"zstd"`), []string{"tables.t.compression"}, "is a string", false},
	"CompressionColumn":   {with(`"compression":{"z":"zstd"}`), []string{"tables.t.compression.z"}, "no column", true},
	"Codec":               {with(`"compression":{"a":"lzo"}`), []string{"tables.t.compression.a"}, "allowed are brotli", false},
	"CodecOfOtherType":    {with(`"compression":{"a":true}`), []string{"tables.t.compression.a"}, "is true", false},
	"KeyColumns":          {with(`"key_columns":["a",""]`), []string{"tables.t.key_columns[1]"}, "is empty", false},
	"SortedFiles":         {table(`"kind":"files","sort_by":[],"compression":{}`), []string{"tables.t.compression", "tables.t.sort_by"}, "no meaning", false},
	"KeyOfFiles":          {table(`"kind":"files","schema":{"fields":[{"name":"a","type":"utf8"}]},"key_columns":["b"]`), []string{"tables.t.key_columns[0]"}, "allowed are a", true},
	"Dependencies":        {depends(`[]`), []string{"dependencies"}, "is an array", false},
	"DependencyAlias":     {depends(`{"a b":"ns/n@1.0.0"}`), []string{`dependencies["a b"]`}, "allowed are", false},
	"DependencyLatest":    {depends(`{"x":"ns/n@latest"}`), []string{"dependencies.x"}, "moves", false},
	"DependencyDev":       {depends(`{"x":"pkg:amp/ns/n@dev"}`), []string{"dependencies.x"}, "moves", false},
	"DependencyNoVersion": {depends(`{"x":"ns/n"}`), []string{"dependencies.x"}, "no version", false},
	"DependencyVersion":   {depends(`{"x":"ns/n@v1.0.0"}`), []string{"dependencies.x"}, "MAJOR.MINOR.PATCH", false},
	"DependencyName":      {depends(`{"x":"NS/n@1.0.0"}`), []string{"dependencies.x"}, "allowed are", false},
	"DependencyObject":    {depends(`{"x":{"ns":"n"}}`), []string{"dependencies.x"}, "is an object", false},
	"Several": {`{"tables":{"b":{"kind":"x"},"a":{"kind":"parquet","schema":{"fields":[{"name":"a","type":"int"},{"type":"int64"}]}}},"dependencies":{"d":"n"}}`,
		[]string{"kind", "tables.a.schema.fields[0].type", "tables.a.schema.fields[1].name", "tables.b.kind", "dependencies.d"}, "is missing", false},
}

func table(members string) string {
	return `{"kind":"dataset","tables":{"t":{` + members + `}}}`
}

func fields(fields string) string {
	return table(`"kind":"parquet","schema":{"fields":[` + fields + `]}`)
}

// with is a table of three columns.
func with(members string) string {
	return table(`"kind":"parquet","schema":{"fields":[{"name":"a","type":"int64"},{"name":"b","type":"utf8"},{"name":"l","type":"list","children":[{"name":"element","type":"int64"}]}]},` + members)
}

func depends(value string) string {
	return `{"kind":"dataset","tables":{},"dependencies":` + value + `}`
}

func TestParse_Refused(t *testing.T) {
	schema := compileSchema(t)
	for name, test := range bad {
		t.Run(name, func(t *testing.T) {
			m, err := manifest.Parse([]byte(test.input))
			if err == nil {
				t.Fatalf("got %s, want an error", m.Bytes)
			}
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("got %v, want fs.ErrInvalid", err)
			}
			found := fieldErrors(t, err)
			var paths []string
			for _, field := range found {
				paths = append(paths, field.Path)
			}
			if diff := cmp.Diff(test.paths, paths); diff != "" {
				t.Errorf("paths: want(-), got(+):\n%s\n%v", diff, err)
			}
			if !strings.Contains(found[0].Reason, test.reason) {
				t.Errorf("got the reason %q, want one with %q", found[0].Reason, test.reason)
			}
			if accepted := schema.Validate(decode(t, test.input)) == nil; accepted != test.blind {
				t.Errorf("the JSON Schema accepts it: %v, want %v", accepted, test.blind)
			}
		})
	}
}

func TestParse_Accepted(t *testing.T) {
	schema := compileSchema(t)
	accepted := []string{
		minimal,
		`{"kind":"dataset","tables":{}}`,
		table(`"kind":"files"`),
		table(`"kind":"files","key_columns":["any"]`),
		table(`"kind":"files","schema":{"fields":[{"name":"a","type":"utf8"}]},"key_columns":[]`),
		with(`"partition_by":["b","z"]`), // z stands in directories only
		with(`"sort_by":["a",{"column":"b","descending":true}],"partition_by":["b"],"block_column":"a","compression":{"l":"lz4_raw"},"key_columns":["a","b"]`),
		fields(`{"name":"a","type":"int64","children":[]}`),
		depends(`{"a":"n@1.0.0","b":"pkg:annexfs/ns/n@1.0.0-rc.1%2Bx.01","C-1":"ns/n@` + strings.Repeat("aB", 32) + `"}`),
		`{"kind":"dataset","tables":{},"source":null,"metadata":[1],"other":{"kind":7}}`,
	}
	for _, input := range accepted {
		parse(t, []byte(input))
		if err := schema.Validate(decode(t, input)); err != nil {
			t.Errorf("%s: the JSON Schema refuses it: %v", input, err)
		}
	}
}

func TestExamples(t *testing.T) {
	schema := compileSchema(t)
	kinds := make(map[manifest.TableKind]int)
	files, err := filepath.Glob("../../docs/examples/*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("got %d examples, %v, want at least 3", len(files), err)
	}
	for _, file := range files {
		data := example(t, filepath.Base(file))
		for _, table := range parse(t, data).Tables {
			kinds[table.Kind]++
		}
		if err := schema.Validate(decode(t, string(data))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	if kinds[manifest.Parquet] == 0 || kinds[manifest.Files] == 0 {
		t.Errorf("got examples of %v, want both kinds", kinds)
	}
}

func FuzzParse(f *testing.F) {
	schema := compileSchema(f)
	for _, test := range bad {
		f.Add([]byte(test.input))
	}
	for _, name := range []string{"parquet.json", "files.json", "mixed.json"} {
		f.Add(example(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse(data)
		if err != nil {
			fieldErrors(t, err)
			return
		}
		if again := parse(t, m.Bytes); again.Hash != m.Hash || !bytes.Equal(again.Bytes, m.Bytes) || m.Hash != dataset.HashOf(m.Bytes) {
			t.Errorf("%q: got %s and %s", data, m.Hash, again.Hash)
		}
		if err := schema.Validate(decode(t, string(m.Bytes))); err != nil {
			t.Errorf("%s: the JSON Schema refuses it: %v", m.Bytes, err)
		}
	})
}

// fieldErrors takes a joined error apart; every part must be a *FieldError that says something.
func fieldErrors(t *testing.T, err error) []*manifest.FieldError {
	t.Helper()
	parts := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		parts = joined.Unwrap()
	}
	var found []*manifest.FieldError
	for _, part := range parts {
		field, ok := errors.AsType[*manifest.FieldError](part)
		if !ok || field.Reason == "" {
			t.Fatalf("got %#v, want a *FieldError with a reason", part)
		}
		found = append(found, field)
	}
	return found
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(manifest.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("manifest.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("manifest.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func decode(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func example(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../docs/examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return m
}
