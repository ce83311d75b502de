package manifest

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical is the one form of a JSON text that is stored and hashed (RFC 8785). Order of members, white space, escapes
// and the writing of numbers do not change it, and it is its own canonical form. What cannot be brought to that form
// without loss is refused with a *[FieldError]: duplicate members, invalid UTF-8, lone surrogates, numbers outside the
// range of a double, and integers that no double holds. Data is left as it is.
func Canonical(data []byte) ([]byte, error) {
	form := jsontext.Value(bytes.Clone(data))
	if err := form.Canonicalize(); err != nil {
		return nil, syntaxError(err)
	}
	if err := checkNumbers(data); err != nil {
		return nil, err
	}
	return form, nil
}

// checkNumbers finds the numbers that Canonicalize changes without a word. Data is valid JSON.
func checkNumbers(data []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.ReadToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return syntaxError(err)
		case token.Kind() != '0':
			continue
		}
		if reason := lostNumber(token.String()); reason != "" {
			return &FieldError{pointerPath(decoder.StackPointer()), reason}
		}
	}
}

// lostNumber tells why a double cannot stand for this JSON number, "" if it can. A fraction is rounded, as doubles do;
// an integer must be held exactly, or be written as the canonical form writes a double.
func lostNumber(text string) (reason string) {
	f, err := strconv.ParseFloat(text, 64)
	digits, _, _ := strings.Cut(strings.ToLower(text), "e")
	switch {
	case err != nil:
		return text + " is beyond the range of a double; allowed are numbers between -" + maxDouble + " and " + maxDouble
	case f == 0 && strings.Trim(digits, "-0.") != "":
		return text + " is too small for a double"
	case strings.ContainsAny(text, ".eE") || math.Abs(f) < 1<<53:
		return ""
	}
	if n, _ := new(big.Float).SetFloat64(f).Int(nil); n.String() == text {
		return ""
	}
	form := jsontext.Value(text)
	if err := form.Canonicalize(); err == nil && string(form) == text {
		return ""
	}
	return text + " is an integer that no double holds; beyond 2^53 write it as a string"
}

const maxDouble = "1.7976931348623157e308"

// syntaxError makes a jsontext error one of ours.
func syntaxError(err error) error {
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return &FieldError{"", err.Error()}
	}
	path := pointerPath(syntactic.JSONPointer)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return &FieldError{path, "is there twice; a member's name must be unique"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &FieldError{path, "the text ends in the middle; allowed is one whole JSON value"}
	case syntactic.Err == nil:
		return &FieldError{path, "is not JSON, at byte " + strconv.FormatInt(syntactic.ByteOffset, 10)}
	}
	return &FieldError{path, "is not JSON, at byte " + strconv.FormatInt(syntactic.ByteOffset, 10) + ": " + syntactic.Err.Error()}
}
