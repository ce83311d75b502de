// Package manifest owns what a manifest says: its canonical bytes, their hash, and the tables in them.
//
// A manifest is a JSON object of the kind "dataset". The JSON Schema beside this file is published ([JSONSchema]) and
// says the same as Parse, but for what no JSON Schema can say: that names of columns occur in the table's schema, that a
// decimal's scale is not above its precision. Members that are not known here are kept: they are the user's, and part of
// the hash.
package manifest

import (
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/annexfs/annexfs/internal/dataset"
)

// KindDataset is the one kind of manifest there is.
const KindDataset = "dataset"

//go:embed manifest.schema.json
var jsonSchema string

// JSONSchema is the published JSON Schema (draft 2020-12) of a manifest. The caller owns the bytes.
func JSONSchema() []byte { return []byte(jsonSchema) }

// Manifest is a manifest that was found valid. It is not changed after Parse and may be read concurrently.
type Manifest struct {
	Kind         string
	Tables       []Table                      // sorted by name
	Dependencies map[string]dataset.Reference // by alias; each by semantic version or hash, for these do not move
	Bytes        []byte                       // the canonical form, unknown members included
	Hash         dataset.Hash                 // of Bytes
}

// Parse reads a manifest in any form of JSON and brings it to its canonical one. What is wrong with it is told by one
// *[FieldError] for each bad field, joined.
func Parse(data []byte) (*Manifest, error) {
	form, err := Canonical(data)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Bytes: form, Hash: dataset.HashOf(form)}
	var errs []error
	root := node{errs: &errs}
	if err := json.Unmarshal(form, &root.value); err != nil {
		return nil, &FieldError{"", err.Error()}
	}
	if _, ok := root.object("an object with the members kind and tables"); ok {
		m.Kind = parseKind(root)
		m.Tables = parseTables(root)
		m.Dependencies = parseDependencies(root)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return m, nil
}

// Table is the table of this name.
func (m *Manifest) Table(name dataset.TableName) (Table, bool) {
	i, found := slices.BinarySearchFunc(m.Tables, name, func(t Table, name dataset.TableName) int {
		return strings.Compare(string(t.Name), string(name))
	})
	if !found {
		return Table{}, false
	}
	return m.Tables[i], true
}

func parseKind(root node) string {
	kind, found := root.required("kind", `"dataset"`)
	if !found {
		return ""
	}
	s, ok := kind.text(`"dataset"`)
	if ok && s != KindDataset {
		kind.fail("%q is no kind of manifest; allowed is %q", s, KindDataset)
	}
	return s
}

func parseTables(root node) []Table {
	const what = "an object that has each table by its name, and may be empty"
	tables, found := root.required("tables", what)
	if !found {
		return nil
	}
	object, _ := tables.object(what)
	var parsed []Table
	for _, name := range sortedKeys(object) {
		n := tables.at(memberPath(tables.path, name), object[name])
		tableName, err := dataset.ParseTableName(name)
		if err != nil {
			n.failSyntax(err)
		}
		parsed = append(parsed, parseTable(n, tableName))
	}
	return parsed
}

func parseDependencies(root node) map[string]dataset.Reference {
	dependencies, found := root.member("dependencies")
	if !found {
		return nil
	}
	object, _ := dependencies.object("an object that has for each alias a reference")
	parsed := make(map[string]dataset.Reference, len(object))
	for _, alias := range sortedKeys(object) {
		n := dependencies.at(memberPath(dependencies.path, alias), object[alias])
		if _, err := dataset.ParseTableName(alias); err != nil { // an alias stands where a table's name does
			n.failSyntax(err)
		}
		parsed[alias] = parseDependency(n)
	}
	return parsed
}

func parseDependency(n node) dataset.Reference {
	const what = "namespace/name@version by a semantic version or a hash"
	s, ok := n.text(what)
	if !ok {
		return dataset.Reference{}
	}
	ref, err := dataset.ParseReference(s)
	switch {
	case err != nil:
		n.failSyntax(err)
	case ref.Selector.IsZero():
		n.fail("%q names no version; it must be %s", s, what)
	case ref.Selector.IsLatest(), ref.Selector.IsDev():
		n.fail("%q moves; it must be %s", s, what)
	}
	return ref
}

func sortedKeys(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
