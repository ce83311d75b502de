package dataset

import (
	"io/fs"
	"strings"
)

// TableName names a table of a manifest: [A-Za-z_][A-Za-z0-9_-]{0,62}.
type TableName string

// TableRef names a table of a dataset's manifest.
type TableRef struct {
	Reference Reference
	Table     TableName
}

// ParseTableName reads a table's name.
func ParseTableName(s string) (TableName, error) {
	const allowed = "allowed are 1 to 63 of A-Z, a-z, 0-9, '_' and '-', with a letter or '_' first"
	return TableName(s), checkChars("table name", s, allowed, func(c byte, first bool) bool {
		return isLetter(c) || c == '_' || !first && (isDigit(c) || c == '-')
	})
}

// ParseTableRef reads "namespace/name@version/table", where "@version" may be left out. The namespace may be left out
// only where a version tells the dataset from the table: "name@version/table". The package URLs of [ParseReference]
// are read too.
func ParseTableRef(s string) (TableRef, error) {
	ref, rest, found := cutReference(s)
	if !found || rest == "" {
		return TableRef{}, &SyntaxError{"table", s, "it names no table; a table is written namespace/name@version/table, where @version may be left out"}
	}
	if table, more, found := strings.Cut(rest, "/"); found {
		return TableRef{}, &SyntaxError{"table", s, "after the table " + table + " follows " + more + "; a table is written namespace/name@version/table, where @version may be left out"}
	}
	return parseTableRef(ref, rest)
}

// ParseFileRef reads a table as [ParseTableRef] does, and after a '/' the path of a file below it: slash-separated
// UTF-8 without empty, "." and ".." parts.
func ParseFileRef(s string) (TableRef, string, error) {
	const form = "a file is written namespace/name@version/table/path, where @version may be left out"
	ref, rest, _ := cutReference(s)
	table, path, found := strings.Cut(rest, "/")
	if !found || path == "" {
		return TableRef{}, "", &SyntaxError{"file", s, "it names no file of a table; " + form}
	}
	if !fs.ValidPath(path) || path == "." || strings.ContainsRune(path, 0) {
		return TableRef{}, "", &SyntaxError{"file", s, "the path has an empty, '.' or '..' part, or bytes that no file name has; " + form}
	}
	t, err := parseTableRef(ref, table)
	if err != nil {
		return TableRef{}, "", err
	}
	return t, path, nil
}

// String is "namespace/name@version/table"; without a version it is @latest, and is written so.
func (t TableRef) String() string { return t.Reference.String() + "/" + string(t.Table) }

func parseTableRef(ref, table string) (TableRef, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return TableRef{}, err
	}
	t, err := ParseTableName(table)
	if err != nil {
		return TableRef{}, err
	}
	return TableRef{r, t}, nil
}

// cutReference cuts s after the part that is a dataset's reference. No part of a reference has a '/' but the namespace.
func cutReference(s string) (ref, rest string, found bool) {
	body, _ := cutScheme(s)
	first, more, found := strings.Cut(body, "/")
	if found && !strings.Contains(first, "@") {
		var name string
		name, rest, found = strings.Cut(more, "/")
		first += "/" + name
	} else {
		rest = more
	}
	return s[:len(s)-len(body)] + first, rest, found
}
