package format

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// msgpackToJSON appends the msgpack value that b is as JSON.
func msgpackToJSON(dst, b []byte) ([]byte, fault) {
	dst, rest, why := appendAsJSON(dst, b, maxDepth)
	if why == "" && len(rest) > 0 {
		why = faultTail
	}
	return dst, why
}

// appendAsJSON appends the value that b begins with, which may nest levels deep, and
// returns what follows it.
func appendAsJSON(dst, b []byte, levels int) (out, rest []byte, why fault) {
	t, why := nextType(b)
	if why != "" {
		return dst, b, why
	}
	switch t {
	case msgp.ArrayType:
		return appendArrayJSON(dst, b, levels)
	case msgp.MapType:
		return appendMapJSON(dst, b, levels)
	}
	return appendScalarJSON(dst, b, t)
}

// appendScalarJSON appends the value that b begins with, which is of type t.
func appendScalarJSON(dst, b []byte, t msgp.Type) (out, rest []byte, why fault) {
	var err error
	switch t {
	case msgp.NilType:
		rest, err = msgp.ReadNilBytes(b)
		dst = append(dst, "null"...)
	case msgp.BoolType:
		var is bool
		is, rest, err = msgp.ReadBoolBytes(b)
		dst = strconv.AppendBool(dst, is)
	case msgp.IntType:
		var n int64
		n, rest, err = msgp.ReadInt64Bytes(b)
		dst = strconv.AppendInt(dst, n, 10)
	case msgp.UintType:
		var n uint64
		n, rest, err = msgp.ReadUint64Bytes(b)
		dst = strconv.AppendUint(dst, n, 10)
	case msgp.Float32Type, msgp.Float64Type:
		var f float64
		f, rest, err = msgp.ReadFloat64Bytes(b)
		dst, why = appendFloatJSON(dst, f)
	case msgp.StrType:
		var s []byte
		if s, rest, err = msgp.ReadStringZC(b); !utf8.Valid(s) {
			return dst, rest, faultStr
		}
		dst = appendQuoted(dst, s)
	case msgp.BinType:
		var bin []byte
		bin, rest, err = msgp.ReadBytesZC(b)
		dst = appendBytesJSON(dst, bin)
	default:
		rest, err = msgp.Skip(b)
		why = faultExt
	}
	if err != nil {
		why = faultEnd
	}
	return dst, rest, why
}

func appendArrayJSON(dst, b []byte, levels int) (out, rest []byte, why fault) {
	n, rest, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil {
		return dst, b, faultEnd
	}
	if levels == 0 {
		return dst, b, faultDeep
	}
	dst = append(dst, '[')
	for k := range n {
		if k > 0 {
			dst = append(dst, ',')
		}
		if dst, rest, why = appendAsJSON(dst, rest, levels-1); why != "" {
			return dst, rest, why
		}
	}
	return append(dst, ']'), rest, ""
}

func appendMapJSON(dst, b []byte, levels int) (out, rest []byte, why fault) {
	n, rest, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return dst, b, faultEnd
	}
	if levels == 0 {
		return dst, b, faultDeep
	}
	dst = append(dst, '{')
	for k := range n {
		if k > 0 {
			dst = append(dst, ',')
		}
		t, why := nextType(rest)
		if why == "" && t != msgp.StrType {
			why = faultMapID
		}
		if why != "" {
			return dst, rest, why
		}
		if dst, rest, why = appendScalarJSON(dst, rest, t); why != "" {
			return dst, rest, why
		}
		dst = append(dst, ':')
		if dst, rest, why = appendAsJSON(dst, rest, levels-1); why != "" {
			return dst, rest, why
		}
	}
	return append(dst, '}'), rest, ""
}

// appendFloatJSON appends the shortest number that reads back as f, with a fraction
// or an exponent so that it stays a float.
func appendFloatJSON(dst []byte, f float64) ([]byte, fault) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, faultNaN
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64), ""
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		dst = append(dst, ".0"...)
	}
	return dst, ""
}
