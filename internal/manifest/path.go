package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/annexfs/annexfs/internal/dataset"
)

// FieldError says what is wrong with one field of a manifest. errors.Is takes it for fs.ErrInvalid.
type FieldError struct {
	Path   string // as in tables.orders.schema.fields[2].type; "" is the manifest itself
	Reason string // what is wrong, and what is allowed
}

// Error is the path and the reason.
func (e *FieldError) Error() string {
	if e.Path == "" {
		return "the manifest: " + e.Reason
	}
	return e.Path + ": " + e.Reason
}

// Is makes every FieldError an fs.ErrInvalid.
func (e *FieldError) Is(target error) bool { return target == fs.ErrInvalid }

// node is a JSON value where it stands. Its methods read it as one type; another type is added to errs.
type node struct {
	path  string
	value any
	errs  *[]error
}

func (n node) fail(format string, args ...any) {
	*n.errs = append(*n.errs, &FieldError{n.path, fmt.Sprintf(format, args...)})
}

// failSyntax adds the error of a parser of internal/dataset, without the kind, which the path tells better.
func (n node) failSyntax(err error) {
	if syntax, ok := errors.AsType[*dataset.SyntaxError](err); ok {
		n.fail("%q: %s", syntax.Value, syntax.Reason)
	}
}

// at is a value below n.
func (n node) at(path string, value any) node { return node{path, value, n.errs} }

// member is a member of an object that may lack it.
func (n node) member(name string) (node, bool) {
	object, _ := n.value.(map[string]any)
	value, found := object[name]
	return n.at(memberPath(n.path, name), value), found
}

// required is a member that the object must have.
func (n node) required(name, what string) (node, bool) {
	m, found := n.member(name)
	if !found {
		m.fail("is missing; it is %s", what)
	}
	return m, found
}

func (n node) object(what string) (map[string]any, bool) {
	object, ok := n.value.(map[string]any)
	if !ok {
		n.fail("is %s; it must be %s", typeName(n.value), what)
	}
	return object, ok
}

func (n node) list(what string) []node {
	values, ok := n.value.([]any)
	if !ok {
		n.fail("is %s; it must be %s", typeName(n.value), what)
	}
	items := make([]node, len(values))
	for i, value := range values {
		items[i] = n.at(n.path+"["+strconv.Itoa(i)+"]", value)
	}
	return items
}

func (n node) text(what string) (string, bool) {
	s, ok := n.value.(string)
	if !ok {
		n.fail("is %s; it must be %s", typeName(n.value), what)
	}
	return s, ok
}

// flag is a member that is true or false, and absent when it may lack.
func (n node) flag(name string, absent bool) bool {
	m, found := n.member(name)
	if !found {
		return absent
	}
	b, ok := m.value.(bool)
	if !ok {
		m.fail("is %s; it must be true or false", typeName(m.value))
	}
	return b
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}

// memberPath is the path of an object's member. A name that would not read as one step is quoted.
func memberPath(path, name string) string {
	plain := name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
	switch {
	case !plain:
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

// pointerPath is a path for an error that comes before the manifest is understood. A pointer does not tell an index from
// a member whose name is a number: such a step is taken for an index.
func pointerPath(p jsontext.Pointer) string {
	var path string
	for step := range p.Tokens() {
		if _, err := strconv.ParseUint(step, 10, 32); err == nil {
			path += "[" + step + "]"
		} else {
			path = memberPath(path, step)
		}
	}
	return path
}
