package manifest

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/annexfs/annexfs/internal/dataset"
)

// Type is the name of an Arrow type, with its parameters: two types are the same if their names are. These are the types
// that parquet has; an Arrow type that only lays out the same values otherwise (large_utf8, dictionary) is none.
type Type string

// Types without parameters.
const (
	Null    Type = "null"
	Bool    Type = "bool"
	Int8    Type = "int8"
	Int16   Type = "int16"
	Int32   Type = "int32"
	Int64   Type = "int64"
	Uint8   Type = "uint8"
	Uint16  Type = "uint16"
	Uint32  Type = "uint32"
	Uint64  Type = "uint64"
	Float16 Type = "float16"
	Float32 Type = "float32"
	Float64 Type = "float64"
	UTF8    Type = "utf8"
	Binary  Type = "binary"
	Date32  Type = "date32" // days since the epoch
	List    Type = "list"   // one child: the element
	Struct  Type = "struct" // one child for each field
	Map     Type = "map"    // two children: key and value
)

// Unit is the unit of a time or timestamp.
type Unit string

// The units of times and timestamps.
const (
	Second      Unit = "s"
	Millisecond Unit = "ms"
	Microsecond Unit = "us"
	Nanosecond  Unit = "ns"
)

// FixedSizeBinary is the type of strings of this many bytes, of which there is at least one.
func FixedSizeBinary(bytes int) Type { return Type(fmt.Sprintf("fixed_size_binary(%d)", bytes)) }

// Decimal is the type of decimals with this many digits (1 to 76), so many of them (0 to precision) after the point.
func Decimal(precision, scale int) Type {
	return Type(fmt.Sprintf("decimal(%d,%d)", precision, scale))
}

// Time is the type of times of the day: of 32 bits for seconds and milliseconds, else of 64.
func Time(unit Unit) Type {
	if unit == Second || unit == Millisecond {
		return Type("time32(" + unit + ")")
	}
	return Type("time64(" + unit + ")")
}

// Timestamp is the type of instants that are shown in a time zone ("UTC", "+02:00", "Europe/Paris"), and with the zone ""
// of local times, which are no instants.
func Timestamp(unit Unit, zone string) Type {
	if zone == "" {
		return Type("timestamp(" + unit + ")")
	}
	return Type("timestamp(" + string(unit) + "," + zone + ")")
}

// typePattern is the JSON Schema's too.
const typePattern = `^(null|bool|u?int(8|16|32|64)|float(16|32|64)|utf8|binary|fixed_size_binary\([1-9][0-9]{0,8}\)|decimal\(([1-9]|[1-6][0-9]|7[0-6]),(0|[1-9]|[1-6][0-9]|7[0-6])\)|date32|time32\((s|ms)\)|time64\((us|ns)\)|timestamp\((s|ms|us|ns)(,[A-Za-z0-9_+:/-]{1,64})?\)|list|struct|map)$`

var typeForm = regexp.MustCompile(typePattern)

const typeAllowed = "allowed are null, bool, int8 to int64, uint8 to uint64, float16, float32, float64, utf8, binary, " +
	"fixed_size_binary(bytes), decimal(precision,scale), date32, time32(s|ms), time64(us|ns), timestamp(s|ms|us|ns[,zone]), " +
	"list, struct and map"

// ParseType reads a type by its name. Its error is a *[dataset.SyntaxError].
func ParseType(s string) (Type, error) {
	m := typeForm.FindStringSubmatch(s)
	if m == nil {
		return "", &dataset.SyntaxError{Kind: "type", Value: s, Reason: "it is no type; " + typeAllowed}
	}
	precision, _ := strconv.Atoi(m[4])
	scale, _ := strconv.Atoi(m[5])
	if scale > precision {
		return "", &dataset.SyntaxError{Kind: "type", Value: s, Reason: "its scale is above its precision"}
	}
	return Type(s), nil
}

func (t Type) nested() bool { return t == List || t == Struct || t == Map }

func (t Type) integer() bool {
	switch t {
	case Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64:
		return true
	}
	return false
}

// childRule says what children a nested type has.
func (t Type) childRule() string {
	switch t {
	case List:
		return "a list has one child, its element"
	case Map:
		return "a map has two children, key and value"
	}
	return "a struct has a child for each of its fields, at least one"
}
