package format

import (
	"encoding/binary"
	"math"
)

// faultCode is the one byte that begins no msgpack value.
const faultCode fault = "the byte 0xc1 is no value"

// headKind is what a msgpack value is, whatever the width of its encoding.
type headKind uint8

const (
	headNil headKind = iota
	headFalse
	headTrue
	headInt   // n is the int64
	headUint  // n is beyond int64
	headFloat // n is the bits of the float64, widened from float32 if need be
	headStr   // n bytes follow
	headBin   // n bytes follow
	headExt   // n bytes follow, the first one being its type
	headArray // n values follow
	headMap   // n pairs follow
)

// head is the beginning of a msgpack value: all there is of a scalar, else the
// number of bytes or values that follow.
type head struct {
	kind headKind
	n    uint64
}

// readHead reads the head at i and returns the index behind it. The bytes of a
// string, bin or extension are known to be there.
func readHead(b []byte, i int) (h head, next int, why fault) {
	if i >= len(b) {
		return head{}, i, faultEnd
	}
	c := b[i]
	i++
	switch {
	case c < 0x80:
		return head{headInt, uint64(c)}, i, ""
	case c < 0x90:
		return head{headMap, uint64(c & 0x0f)}, i, ""
	case c < 0xa0:
		return head{headArray, uint64(c & 0x0f)}, i, ""
	case c < 0xc0:
		return withBytes(head{headStr, uint64(c & 0x1f)}, b, i)
	case c >= 0xe0:
		return head{headInt, uint64(int64(int8(c)))}, i, ""
	}
	form := wideForms[c-0xc0]
	if len(b)-i < int(form.width) {
		return head{}, i, faultEnd
	}
	h = head{form.kind, readUint(b[i:], form.width)}
	i += int(form.width)
	switch c {
	case 0xc1:
		return head{}, i, faultCode
	case 0xca:
		h.n = math.Float64bits(float64(math.Float32frombits(uint32(h.n))))
	case 0xcf:
		if h.n > math.MaxInt64 {
			h.kind = headUint
		}
	case 0xd0:
		h.n = uint64(int64(int8(h.n)))
	case 0xd1:
		h.n = uint64(int64(int16(h.n)))
	case 0xd2:
		h.n = uint64(int64(int32(h.n)))
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		h.n = 1 << (c - 0xd4)
	}
	switch h.kind {
	case headExt:
		h.n++
		return withBytes(h, b, i)
	case headStr, headBin:
		return withBytes(h, b, i)
	}
	return h, i, ""
}

// wideForms says, for the codes 0xc0 to 0xdf, what they are and how many bytes of
// number or length follow. Source: the msgpack specification, "Formats".
var wideForms = [32]struct {
	kind  headKind
	width uint8
}{
	{headNil, 0}, {headNil, 0}, {headFalse, 0}, {headTrue, 0},
	{headBin, 1}, {headBin, 2}, {headBin, 4},
	{headExt, 1}, {headExt, 2}, {headExt, 4},
	{headFloat, 4}, {headFloat, 8},
	{headInt, 1}, {headInt, 2}, {headInt, 4}, {headInt, 8},
	{headInt, 1}, {headInt, 2}, {headInt, 4}, {headInt, 8},
	{headExt, 0}, {headExt, 0}, {headExt, 0}, {headExt, 0}, {headExt, 0},
	{headStr, 1}, {headStr, 2}, {headStr, 4},
	{headArray, 2}, {headArray, 4},
	{headMap, 2}, {headMap, 4},
}

func readUint(b []byte, width uint8) uint64 {
	switch width {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func withBytes(h head, b []byte, i int) (head, int, fault) {
	if uint64(len(b)-i) < h.n {
		return head{}, i, faultEnd
	}
	return h, i, ""
}

// scanMsgpack returns the index behind the value at i, which may nest levels deep.
func scanMsgpack(b []byte, i, levels int) (int, fault) {
	h, i, why := readHead(b, i)
	if why != "" {
		return i, why
	}
	values := uint64(0)
	switch h.kind {
	case headStr, headBin, headExt:
		return i + int(h.n), ""
	case headArray:
		values = h.n
	case headMap:
		values = 2 * h.n
	default:
		return i, ""
	}
	if levels == 0 {
		return i, faultDeep
	}
	for ; values > 0; values-- {
		if i, why = scanMsgpack(b, i, levels-1); why != "" {
			return i, why
		}
	}
	return i, ""
}
