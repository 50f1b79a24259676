package format

import (
	"bytes"
	"math"
	"strconv"
)

// jsonToMsgpack appends the well-formed JSON value at the start of b as msgpack.
func jsonToMsgpack(dst, b []byte) ([]byte, fault) {
	var room [64]uint32
	t := transcoder{src: b, dst: dst, sizes: countElements(room[:0], b)}
	t.value()
	return t.dst, t.why
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

// transcoder walks well-formed JSON that nests at most maxDepth levels.
type transcoder struct {
	src   []byte
	at    int
	dst   []byte
	sizes []uint32 // of the arrays and objects still to come
	why   fault
}

func (t *transcoder) value() {
	t.at = skipSpace(t.src, t.at)
	switch t.src[t.at] {
	case '"':
		t.string()
	case '{':
		t.object()
	case '[':
		t.at++
		n := t.size()
		t.dst = appendArrayHead(t.dst, n)
		for range n {
			t.value()
			t.at = skipSpace(t.src, t.at)
			if t.src[t.at] == ',' {
				t.at++
			}
		}
		t.at = skipSpace(t.src, t.at) + 1
	case 't':
		t.dst, t.at = append(t.dst, 0xc3), t.at+len("true")
	case 'f':
		t.dst, t.at = append(t.dst, 0xc2), t.at+len("false")
	case 'n':
		t.dst, t.at = append(t.dst, 0xc0), t.at+len("null")
	default:
		t.number()
	}
}

func (t *transcoder) size() int {
	n := t.sizes[0]
	t.sizes = t.sizes[1:]
	return int(n)
}

func (t *transcoder) object() {
	n := t.size()
	if n == 1 {
		if encoded, end, ok := bytesJSON(t.src, t.at); ok && t.bytes(encoded) {
			t.at = end
			return
		}
	}
	t.at++
	t.dst = appendMapHead(t.dst, n)
	for range n {
		t.at = skipSpace(t.src, t.at)
		t.string()
		t.at = skipSpace(t.src, t.at) + 1
		t.value()
		t.at = skipSpace(t.src, t.at)
		if t.src[t.at] == ',' {
			t.at++
		}
	}
	t.at = skipSpace(t.src, t.at) + 1
}

// string appends the string at t.at.
func (t *transcoder) string() {
	from := t.at + 1
	t.at, _ = scanString(t.src, from)
	inside := t.src[from : t.at-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		t.dst = appendStr(t.dst, inside)
	} else {
		t.dst = appendStrUnescaped(t.dst, inside)
	}
}

// bytes appends what a $b64 string encodes, and reports false if that is nothing.
func (t *transcoder) bytes(encoded []byte) bool {
	at := len(t.dst)
	out, ok := appendBase64Decoded(t.dst, encoded)
	if !ok {
		t.dst = out[:at]
		return false
	}
	var room [5]byte
	t.dst = insert(out, at, appendBinHead(room[:0], len(out)-at))
	return true
}

// number appends the number at t.at: an integer if it is written as one and fits.
func (t *transcoder) number() {
	from := t.at
	t.at, _ = scanNumber(t.src, from)
	raw := t.src[from:t.at]
	if bytes.IndexAny(raw, ".eE") < 0 {
		if n, ok := parseInt(raw); ok {
			t.dst = appendInt(t.dst, n)
			return
		}
		if n, err := strconv.ParseUint(string(raw), 10, 64); err == nil {
			t.dst = appendUint(t.dst, n)
			return
		}
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(f, 0) {
		t.why = faultRange
		return
	}
	t.dst = appendFloat(t.dst, f)
}
