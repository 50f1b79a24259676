package format

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// msgpackToJSON appends the msgpack value that b is as JSON.
func msgpackToJSON(dst, b []byte) ([]byte, fault) {
	dst, i, why := appendAsJSON(dst, b, 0, maxDepth)
	if why == "" && i < len(b) {
		why = faultTail
	}
	return dst, why
}

// appendAsJSON appends the value at i, which may nest levels deep, and returns the
// index behind it.
func appendAsJSON(dst, b []byte, i, levels int) ([]byte, int, fault) {
	h, i, why := readHead(b, i)
	if why != "" {
		return dst, i, why
	}
	switch h.kind {
	case headNil:
		return append(dst, "null"...), i, ""
	case headFalse:
		return append(dst, "false"...), i, ""
	case headTrue:
		return append(dst, "true"...), i, ""
	case headInt:
		return strconv.AppendInt(dst, int64(h.n), 10), i, ""
	case headUint:
		return strconv.AppendUint(dst, h.n, 10), i, ""
	case headFloat:
		dst, why = appendFloatJSON(dst, math.Float64frombits(h.n))
		return dst, i, why
	case headStr:
		end := i + int(h.n)
		if !utf8.Valid(b[i:end]) {
			return dst, i, faultStr
		}
		return appendQuoted(dst, b[i:end]), end, ""
	case headBin:
		end := i + int(h.n)
		return appendBytesJSON(dst, b[i:end]), end, ""
	case headArray:
		return appendArrayJSON(dst, b, i, h.n, levels)
	case headMap:
		return appendMapJSON(dst, b, i, h.n, levels)
	}
	return dst, i, faultExt
}

func appendArrayJSON(dst, b []byte, i int, n uint64, levels int) ([]byte, int, fault) {
	if levels == 0 {
		return dst, i, faultDeep
	}
	dst = append(dst, '[')
	for k := range n {
		if k > 0 {
			dst = append(dst, ',')
		}
		var why fault
		if dst, i, why = appendAsJSON(dst, b, i, levels-1); why != "" {
			return dst, i, why
		}
	}
	return append(dst, ']'), i, ""
}

func appendMapJSON(dst, b []byte, i int, n uint64, levels int) ([]byte, int, fault) {
	if levels == 0 {
		return dst, i, faultDeep
	}
	dst = append(dst, '{')
	for k := range n {
		if k > 0 {
			dst = append(dst, ',')
		}
		if h, _, why := readHead(b, i); why == "" && h.kind != headStr {
			return dst, i, faultMapID
		}
		var why fault
		if dst, i, why = appendAsJSON(dst, b, i, levels-1); why != "" {
			return dst, i, why
		}
		dst = append(dst, ':')
		if dst, i, why = appendAsJSON(dst, b, i, levels-1); why != "" {
			return dst, i, why
		}
	}
	return append(dst, '}'), i, ""
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
