package datastore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ColumnType says how bounds are written and compared.
type ColumnType string

// The types that have bounds.
const (
	TypeInt            ColumnType = "int"             // JSON number, up to 64 bits
	TypeFloat          ColumnType = "float"           // JSON number that is a 32-bit float
	TypeDouble         ColumnType = "double"          // JSON number
	TypeDecimal        ColumnType = "decimal"         // string "-12.30"
	TypeBool           ColumnType = "bool"            // JSON bool
	TypeDate           ColumnType = "date"            // string "2006-01-02"
	TypeTimestamp      ColumnType = "timestamp"       // string, RFC 3339 in UTC
	TypeLocalTimestamp ColumnType = "timestamp_local" // string, RFC 3339 without a zone
	TypeString         ColumnType = "string"          // UTF-8, compared by bytes
)

const (
	maxBoundLength = 1024 // of a string's bound in bytes
	maxNumberText  = 128  // of a number in bytes

	localTimestamp = "2006-01-02T15:04:05.999999999"
)

// bound is one value that can be compared with others of its type.
type bound struct {
	typ    ColumnType
	text   string    // as written, without quotes
	exact  *big.Rat  // ints and decimals
	double float64   // floats
	time   time.Time // dates and timestamps
}

// compare is negative, zero or positive as b is less than, equal to or greater than o, which has the same type.
func (b bound) compare(o bound) int {
	switch b.typ {
	case TypeInt, TypeDecimal:
		return b.exact.Cmp(o.exact)
	case TypeFloat, TypeDouble:
		return cmp.Compare(b.double, o.double)
	case TypeDate, TypeTimestamp, TypeLocalTimestamp:
		return b.time.Compare(o.time)
	}
	return strings.Compare(b.text, o.text) // "false" is before "true" too
}

func (b bound) isNaN() bool { return math.IsNaN(b.double) }

func (b bound) json() json.RawMessage {
	switch b.typ {
	case TypeInt, TypeFloat, TypeDouble, TypeBool:
		return json.RawMessage(b.text)
	}
	quoted, _ := json.Marshal(b.text) // a string always can be
	return quoted
}

// boundOf reads what json wrote.
func boundOf(t ColumnType, raw json.RawMessage) (bound, error) {
	text := string(raw)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return bound{}, err
		}
	}
	return parseBound(t, text)
}

// parseBound reads a value of that type from its text.
func parseBound(t ColumnType, text string) (bound, error) {
	b := bound{typ: t, text: text}
	var err error
	switch t {
	case TypeInt, TypeDecimal:
		b.exact, err = parseExact(text)
	case TypeFloat, TypeDouble:
		if b.double, err = strconv.ParseFloat(text, 64); err == nil && b.isNaN() {
			err = fmt.Errorf("%q has no order", text)
		}
	case TypeBool:
		if text != "true" && text != "false" {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
	case TypeDate:
		b.time, err = time.Parse(time.DateOnly, text)
	case TypeTimestamp:
		b.time, err = time.Parse(time.RFC3339Nano, text)
	case TypeLocalTimestamp:
		b.time, err = time.Parse(localTimestamp, text)
	case TypeString:
		if !utf8.ValidString(text) {
			err = fmt.Errorf("%q is not UTF-8", text)
		}
	default:
		err = fmt.Errorf("unknown type %q", t)
	}
	return b, err
}

// parseExact reads digits with a sign and a point, and no exponent, which could ask for any number of digits.
func parseExact(text string) (*big.Rat, error) {
	if len(text) <= maxNumberText && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && r != '-' && r != '.'
	}) {
		if v, ok := new(big.Rat).SetString(text); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%q is not a decimal number", text)
}
