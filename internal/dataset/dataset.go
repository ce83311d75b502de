// Package dataset owns the vocabulary: small comparable values for the names, versions, references and keys that all
// other packages speak of, with their parsers.
//
// A value that a parser returned is valid, and its String parses to the same value again. A parser refuses with a
// *[SyntaxError], which says what is wrong and what is allowed. The zero value of a type is no valid name unless its
// comment says otherwise. Nothing here reads or writes anything; everything may be used concurrently.
package dataset

import (
	"fmt"
	"io/fs"
)

// SyntaxError says why a text is no value of the vocabulary. errors.Is takes it for fs.ErrInvalid.
type SyntaxError struct {
	Kind   string // what was parsed: "namespace", "version", …
	Value  string // the text that was refused, whole
	Reason string // what is wrong, and what is allowed
}

// Error names the kind, the text (cut when it is very long) and the reason.
func (e *SyntaxError) Error() string {
	const shown = 100
	if len(e.Value) > shown {
		return fmt.Sprintf("invalid %s %q… (%d bytes): %s", e.Kind, e.Value[:shown], len(e.Value), e.Reason)
	}
	return fmt.Sprintf("invalid %s %q: %s", e.Kind, e.Value, e.Reason)
}

// Is makes every SyntaxError an fs.ErrInvalid.
func (e *SyntaxError) Is(target error) bool { return target == fs.ErrInvalid }
