package dataset

import (
	"fmt"
	"strings"
)

// DefaultNamespace is the namespace of a reference that names none.
const DefaultNamespace Namespace = "_"

// maxName is the greatest length of a namespace, a dataset's name and a table's name, in bytes.
const maxName = 63

// Namespace is the first half of a dataset's identity: [a-z0-9_][a-z0-9_-]{0,62}.
type Namespace string

// Name is the second half of a dataset's identity: [a-z0-9_][a-z0-9_-]{0,62}.
type Name string

// ID identifies a dataset.
type ID struct {
	Namespace Namespace
	Name      Name
}

// ParseNamespace reads a namespace.
func ParseNamespace(s string) (Namespace, error) {
	return Namespace(s), checkName("namespace", s)
}

// ParseName reads a dataset's name.
func ParseName(s string) (Name, error) {
	return Name(s), checkName("dataset name", s)
}

// ParseID reads "namespace/name". Neither half may be left out.
func ParseID(s string) (ID, error) {
	ns, name, found := strings.Cut(s, "/")
	if !found {
		return ID{}, &SyntaxError{"dataset", s, "it has no '/'; a dataset is written namespace/name"}
	}
	return parseID(ns, name)
}

// String is "namespace/name".
func (id ID) String() string { return string(id.Namespace) + "/" + string(id.Name) }

func parseID(ns, name string) (ID, error) {
	if _, err := ParseNamespace(ns); err != nil {
		return ID{}, err
	}
	if _, err := ParseName(name); err != nil {
		return ID{}, err
	}
	return ID{Namespace(ns), Name(name)}, nil
}

func checkName(kind, s string) error {
	const allowed = "allowed are 1 to 63 of a-z, 0-9, '_' and, but not first, '-'"
	return checkChars(kind, s, allowed, func(c byte, first bool) bool {
		return 'a' <= c && c <= 'z' || isDigit(c) || c == '_' || c == '-' && !first
	})
}

// checkChars refuses a text that is empty, too long, or has a byte that valid does not take where it stands.
func checkChars(kind, s, allowed string, valid func(c byte, first bool) bool) error {
	switch {
	case s == "":
		return &SyntaxError{kind, s, "it is empty; " + allowed}
	case len(s) > maxName:
		return &SyntaxError{kind, s, fmt.Sprintf("it has %d bytes; %s", len(s), allowed)}
	}
	for i, r := range s {
		if r >= 0x80 || !valid(s[i], i == 0) {
			return &SyntaxError{kind, s, fmt.Sprintf("it has %q at byte %d; %s", r, i, allowed)}
		}
	}
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
