package format

import (
	"bytes"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// jsonToMsgpack appends the well-formed JSON value at the start of b as msgpack.
func jsonToMsgpack(dst, b []byte) ([]byte, fault) {
	var room [64]uint32
	t := transcoder{src: b, sizes: countElements(room[:0], b)}
	dst = t.value(dst)
	if t.beyond {
		return dst, faultRange
	}
	return dst, ""
}

// countElements appends, for every array and object of well-formed JSON in the order
// in which they begin, how many values or pairs it has: msgpack wants to know first.
func countElements(sizes []uint32, b []byte) []uint32 {
	var room [32]int
	open := room[:0]
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i, _ = scanString(b, i+1)
			i--
		case '{', '[':
			n := uint32(0)
			if next := skipSpace(b, i+1); b[next] != '}' && b[next] != ']' {
				n = 1
			}
			open = append(open, len(sizes))
			sizes = append(sizes, n)
		case ',':
			sizes[open[len(open)-1]]++
		case '}', ']':
			open = open[:len(open)-1]
		}
	}
	return sizes
}

// transcoder walks well-formed JSON that nests at most maxDepth levels. Each method
// appends what begins at t.at and leaves t.at behind it.
type transcoder struct {
	src    []byte
	at     int
	sizes  []uint32 // of all arrays and objects
	opened int      // how many of them have begun
	beyond bool     // a number was beyond float64
}

func (t *transcoder) value(dst []byte) []byte {
	t.at = skipSpace(t.src, t.at)
	switch t.src[t.at] {
	case '"':
		return t.string(dst)
	case '{':
		return t.object(dst)
	case '[':
		return t.array(dst)
	case 't':
		t.at += len("true")
		return msgp.AppendBool(dst, true)
	case 'f':
		t.at += len("false")
		return msgp.AppendBool(dst, false)
	case 'n':
		t.at += len("null")
		return msgp.AppendNil(dst)
	}
	return t.number(dst)
}

// open enters an array or object and returns its size.
func (t *transcoder) open() uint32 {
	n := t.sizes[t.opened]
	t.opened++
	t.at++
	return n
}

// next goes over the comma or bracket behind a value.
func (t *transcoder) next() {
	t.at = skipSpace(t.src, t.at) + 1
}

func (t *transcoder) array(dst []byte) []byte {
	n := t.open()
	dst = msgp.AppendArrayHeader(dst, n)
	for range n {
		dst = t.value(dst)
		t.next()
	}
	if n == 0 {
		t.next()
	}
	return dst
}

func (t *transcoder) object(dst []byte) []byte {
	begin := t.at
	n := t.open()
	if n == 1 {
		if encoded, end, ok := bytesJSON(t.src, begin); ok {
			if out, ok := appendBin64(dst, encoded); ok {
				t.at = end
				return out
			}
		}
	}
	dst = msgp.AppendMapHeader(dst, n)
	for range n {
		t.at = skipSpace(t.src, t.at)
		dst = t.string(dst)
		t.next()
		dst = t.value(dst)
		t.next()
	}
	if n == 0 {
		t.next()
	}
	return dst
}

func (t *transcoder) string(dst []byte) []byte {
	from := t.at + 1
	t.at, _ = scanString(t.src, from)
	inside := t.src[from : t.at-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return msgp.AppendStringFromBytes(dst, inside)
	}
	return appendStrUnescaped(dst, inside)
}

// number appends an integer if it is written as one and fits, else a float.
func (t *transcoder) number(dst []byte) []byte {
	from := t.at
	t.at, _ = scanNumber(t.src, from)
	raw := t.src[from:t.at]
	if n, ok := parseInt(raw); ok {
		return appendInt(dst, n)
	}
	if n, ok := parseUint(raw); ok {
		return msgp.AppendUint64(dst, n)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(f, 0) {
		t.beyond = true
	}
	return msgp.AppendFloat64(dst, f)
}
