package manifest

import (
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
)

// TableKind says what the files of a table are.
type TableKind string

const (
	// Parquet tables hold parquet files of one schema.
	Parquet TableKind = "parquet"

	// Files tables hold any files, below any paths.
	Files TableKind = "files"
)

// Table is a table as its manifest declares it. Every column that a field names is a top-level field of Schema; only a
// files table without a schema may have KeyColumns all the same.
type Table struct {
	Name        dataset.TableName
	Kind        TableKind
	Schema      Schema            // empty only in a files table: then its files have no columns but KeyColumns
	SortBy      []SortKey         // order of the rows of each file; parquet only
	PartitionBy []string          // Hive partition columns, outermost first, in the schema or not; parquet only
	BlockColumn string            // its smallest value numbers a file; "": files have running numbers; parquet only
	Compression map[string]string // codec by column; others are the writer's choice; parquet only
	KeyColumns  []string          // columns that together identify a row, in a files table a file
}

// SortKey is one column of a sort order.
type SortKey struct {
	Column     string
	Descending bool
	NullsFirst bool
}

// parquetMembers are the members of a table that have no meaning for files.
var parquetMembers = []string{"block_column", "compression", "partition_by", "sort_by"}

func parseTable(n node, name dataset.TableName) Table {
	t := Table{Name: name}
	if _, ok := n.object("an object with the members kind and schema"); !ok {
		return t
	}
	t.Kind = parseTableKind(n)
	t.Schema = parseTableSchema(n, t.Kind)
	t.KeyColumns = parseColumns(n, "key_columns", t.Schema)
	if t.Kind == Files {
		for _, name := range parquetMembers {
			if m, found := n.member(name); found {
				m.fail("has no meaning in a files table; allowed are kind, schema and key_columns")
			}
		}
		return t
	}
	t.SortBy = parseSortBy(n, t.Schema)
	t.PartitionBy = parsePartitionBy(n, t.Schema)
	t.BlockColumn = parseBlockColumn(n, t.Schema)
	t.Compression = parseCompression(n, t.Schema)
	return t
}

func parseTableKind(n node) TableKind {
	const what = `"parquet" or "files"`
	kind, found := n.required("kind", what)
	if !found {
		return ""
	}
	s, ok := kind.text(what)
	if ok && s != string(Parquet) && s != string(Files) {
		kind.fail("%q is no kind of table; allowed are %s", s, what)
	}
	return TableKind(s)
}

func parseTableSchema(n node, kind TableKind) Schema {
	schema, found := n.member("schema")
	switch {
	case found:
		return parseSchema(schema)
	case kind == Parquet:
		schema.fail("is missing; a parquet table has an object with the member fields")
	}
	return Schema{}
}

// parseColumns reads a list of names of columns, each at most once.
func parseColumns(n node, name string, schema Schema) []string {
	m, found := n.member(name)
	if !found {
		return nil
	}
	var columns []string
	for _, item := range m.list("an array of names of columns") {
		if column, ok := parseColumn(item, schema); ok {
			if slices.Contains(columns, column) {
				item.fail("%q is there twice; a column is named once", column)
			}
			columns = append(columns, column)
		}
	}
	return columns
}

// parseColumn reads the name of a column of the schema. Where there is none, or a bad one, any name passes.
func parseColumn(n node, schema Schema) (string, bool) {
	name, ok := n.text("the name of a column")
	if ok {
		checkColumn(n, name, schema)
	}
	return name, ok
}

func checkColumn(n node, name string, schema Schema) {
	_, found := schema.Field(name)
	switch {
	case name == "":
		n.fail("is empty; it must be the name of a column")
	case !found && len(schema.Fields) > 0:
		n.fail("%q is no column of the table; allowed are %s", name, strings.Join(schema.names(), ", "))
	}
}

func parseSortBy(n node, schema Schema) []SortKey {
	m, found := n.member("sort_by")
	if !found {
		return nil
	}
	var keys []SortKey
	for _, item := range m.list("an array of sort keys") {
		key, ok := parseSortKey(item, schema)
		if !ok {
			continue
		}
		if slices.ContainsFunc(keys, func(k SortKey) bool { return k.Column == key.Column }) {
			item.fail("%q is there twice; a column is named once", key.Column)
		}
		if f, _ := schema.Field(key.Column); f.Type.nested() || f.Type == Null {
			item.fail("%q is of the type %s, which has no order", key.Column, f.Type)
		}
		keys = append(keys, key)
	}
	return keys
}

// parseSortKey reads a column's name, or an object that tells the direction too.
func parseSortKey(n node, schema Schema) (key SortKey, ok bool) {
	const what = `the name of a column, or an object with the members column, descending and nulls_first`
	switch n.value.(type) {
	case string:
		key.Column, ok = parseColumn(n, schema)
		return key, ok
	case map[string]any:
		key.Descending = n.flag("descending", false)
		key.NullsFirst = n.flag("nulls_first", false)
		column, found := n.required("column", "the name of a column")
		if found {
			key.Column, ok = parseColumn(column, schema)
		}
		return key, ok
	}
	n.fail("is %s; it must be %s", typeName(n.value), what)
	return key, false
}

// parsePartitionBy reads the partition columns. One that the schema does not declare is a key and no column: it stands
// in the directories that writers make, as most of them leave it out of their files, and is kept beside each file.
func parsePartitionBy(n node, schema Schema) []string {
	columns := parseColumns(n, "partition_by", Schema{})
	m, _ := n.member("partition_by")
	stays := func(f Field) bool { return !slices.Contains(columns, f.Name) }
	if len(schema.Fields) > 0 && !slices.ContainsFunc(schema.Fields, stays) {
		m.fail("names every column; at least one must stay in the files")
	}
	for i, item := range columns {
		if f, found := schema.Field(item); found && (f.Type.nested() || f.Type == Null) {
			m.fail("column %d, %q, is of the type %s, which names no directory", i, item, f.Type)
		}
	}
	return columns
}

func parseBlockColumn(n node, schema Schema) string {
	m, found := n.member("block_column")
	if !found {
		return ""
	}
	name, _ := parseColumn(m, schema)
	if f, found := schema.Field(name); found && !f.Type.integer() {
		m.fail("%q is of the type %s; a block column is of an integer type", name, f.Type)
	}
	return name
}

func parseCompression(n node, schema Schema) map[string]string {
	m, found := n.member("compression")
	if !found {
		return nil
	}
	object, _ := m.object("an object that has codecs by their columns")
	codecs := make(map[string]string, len(object))
	for _, column := range sortedKeys(object) {
		item := m.at(memberPath(m.path, column), object[column])
		checkColumn(item, column, schema)
		codecs[column] = parseCodec(item)
	}
	return codecs
}

func parseCodec(n node) string {
	const allowed = "brotli, gzip, lz4_raw, snappy, uncompressed and zstd"
	codec, ok := n.text("one of " + allowed)
	switch codec {
	case "brotli", "gzip", "lz4_raw", "snappy", "uncompressed", "zstd":
	default:
		if ok {
			n.fail("%q is no codec; allowed are %s", codec, allowed)
		}
	}
	return codec
}
