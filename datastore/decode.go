package datastore

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// decoder reads one bound as a footer holds it; false where it cannot be a bound here. A NaN is returned all the same.
type decoder func([]byte) (bound, bool)

// decoderOf is the decoder for a column's values, nil where they have no order that we know.
func decoderOf(e *format.SchemaElement) decoder {
	if e.LogicalType.Value != nil {
		return logicalDecoder(e)
	}
	if e.ConvertedType.Valid {
		return convertedDecoder(e)
	}
	switch e.Type.V {
	case format.Boolean:
		return decodeBool
	case format.Int32, format.Int64:
		return decodeSigned
	case format.Float, format.Double:
		return decodeFloat
	}
	return nil
}

func logicalDecoder(e *format.SchemaElement) decoder {
	switch t := e.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType:
		return decodeString
	case *format.IntType:
		if t.IsSigned {
			return decodeSigned
		}
		return decodeUnsigned
	case *format.DecimalType:
		return decimalDecoder(e.Type.V, t.Scale)
	case *format.DateType:
		return decodeDate
	case *format.TimestampType:
		if t.Unit.Value != nil {
			return timestampDecoder(t.Unit.Value.Duration(), t.IsAdjustedToUTC)
		}
	}
	return nil
}

// convertedDecoder is for files written before there were logical types.
func convertedDecoder(e *format.SchemaElement) decoder {
	switch e.ConvertedType.V {
	case deprecated.UTF8, deprecated.Enum:
		return decodeString
	case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
		return decodeSigned
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return decodeUnsigned
	case deprecated.Decimal:
		return decimalDecoder(e.Type.V, e.Scale.V)
	case deprecated.Date:
		return decodeDate
	case deprecated.TimestampMillis:
		return timestampDecoder(time.Millisecond, true)
	case deprecated.TimestampMicros:
		return timestampDecoder(time.Microsecond, true)
	}
	return nil
}

func decodeBool(b []byte) (bound, bool) {
	if len(b) != 1 {
		return bound{}, false
	}
	return bound{typ: TypeBool, text: strconv.FormatBool(b[0] != 0)}, true
}

func decodeString(b []byte) (bound, bool) {
	return bound{typ: TypeString, text: string(b)}, len(b) <= maxBoundLength && utf8.Valid(b)
}

// littleEndian reads an INT32 or INT64.
func littleEndian(b []byte) (v int64, ok bool) {
	switch len(b) {
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	case 8:
		return int64(binary.LittleEndian.Uint64(b)), true
	}
	return 0, false
}

func decodeSigned(b []byte) (bound, bool) {
	v, ok := littleEndian(b)
	return bound{typ: TypeInt, text: strconv.FormatInt(v, 10), exact: new(big.Rat).SetInt64(v)}, ok
}

func decodeUnsigned(b []byte) (bound, bool) {
	v, ok := littleEndian(b)
	u := uint64(v)
	if len(b) == 4 {
		u = uint64(uint32(v))
	}
	return bound{typ: TypeInt, text: strconv.FormatUint(u, 10), exact: new(big.Rat).SetUint64(u)}, ok
}

func decodeFloat(b []byte) (bound, bool) {
	v := bound{typ: TypeDouble}
	switch len(b) {
	case 4:
		v.typ, v.double = TypeFloat, float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case 8:
		v.double = math.Float64frombits(binary.LittleEndian.Uint64(b))
	default:
		return v, false
	}
	v.text = strconv.FormatFloat(v.double, 'g', -1, 64)
	return v, !math.IsNaN(v.double) && !math.IsInf(v.double, 0)
}

// decimalDecoder reads the unscaled number, big-endian in two's complement unless it is an integer of parquet's own.
func decimalDecoder(t format.Type, scale int32) decoder {
	if scale < 0 || scale > maxNumberText/2 {
		return nil
	}
	return func(b []byte) (bound, bool) {
		unscaled := new(big.Int)
		if t == format.Int32 || t == format.Int64 {
			v, ok := littleEndian(b)
			if !ok {
				return bound{}, false
			}
			unscaled.SetInt64(v)
		} else {
			if len(b) == 0 || len(b) > maxNumberText/4 {
				return bound{}, false
			}
			unscaled.SetBytes(b)
			if b[0]&0x80 != 0 {
				unscaled.Sub(unscaled, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
			}
		}
		text := decimalText(unscaled, int(scale))
		exact, err := parseExact(text)
		return bound{typ: TypeDecimal, text: text, exact: exact}, err == nil
	}
}

func decimalText(unscaled *big.Int, scale int) string {
	digits := new(big.Int).Abs(unscaled).String()
	if n := scale + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	if scale > 0 {
		point := len(digits) - scale
		digits = digits[:point] + "." + digits[point:]
	}
	if unscaled.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func decodeDate(b []byte) (bound, bool) {
	days, ok := littleEndian(b)
	if !ok || len(b) != 4 {
		return bound{}, false
	}
	t := time.Unix(days*24*60*60, 0).UTC()
	return bound{typ: TypeDate, text: t.Format(time.DateOnly), time: t}, fourDigits(t)
}

func timestampDecoder(unit time.Duration, utc bool) decoder {
	perSecond := int64(time.Second / unit)
	fraction := strings.Repeat("0", len(strconv.FormatInt(perSecond, 10))-1)
	typ, layout := TypeLocalTimestamp, "2006-01-02T15:04:05."+fraction
	if utc {
		typ, layout = TypeTimestamp, layout+"Z"
	}
	return func(b []byte) (bound, bool) {
		v, ok := littleEndian(b)
		if !ok || len(b) != 8 {
			return bound{}, false
		}
		t := time.Unix(v/perSecond, v%perSecond*int64(unit)).UTC() // Unix takes negative nanoseconds too
		return bound{typ: typ, text: t.Format(layout), time: t}, fourDigits(t)
	}
}

// fourDigits reports whether a time can be written in RFC 3339.
func fourDigits(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }
