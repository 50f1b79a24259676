package format

import (
	"encoding/binary"
	"math"
)

// The Append functions below choose the shortest form.

func appendInt(dst []byte, n int64) []byte {
	switch {
	case n >= 0:
		return appendUint(dst, uint64(n))
	case n >= -32:
		return append(dst, byte(n))
	case n >= math.MinInt8:
		return append(dst, 0xd0, byte(n))
	case n >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(n))
	case n >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}

func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 0x80:
		return append(dst, byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xcc, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), n)
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

// appendSize appends a length or count: as the low bits of fix if it is below
// fixBound, else behind one of the codes for 8, 16 and 32 bits. A code of 0 does
// not exist for that kind.
func appendSize(dst []byte, n int, fix byte, fixBound int, code8, code16, code32 byte) []byte {
	switch {
	case n < fixBound:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint8 && code8 != 0:
		return append(dst, code8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code32), uint32(n))
}

func appendStrHead(dst []byte, n int) []byte {
	return appendSize(dst, n, 0xa0, 32, 0xd9, 0xda, 0xdb)
}

func appendBinHead(dst []byte, n int) []byte {
	return appendSize(dst, n, 0, 0, 0xc4, 0xc5, 0xc6)
}

func appendArrayHead(dst []byte, n int) []byte {
	return appendSize(dst, n, 0x90, 16, 0, 0xdc, 0xdd)
}

func appendMapHead(dst []byte, n int) []byte {
	return appendSize(dst, n, 0x80, 16, 0, 0xde, 0xdf)
}

func appendStr[S []byte | string](dst []byte, s S) []byte {
	return append(appendStrHead(dst, len(s)), s...)
}

// appendStrUnescaped appends what the inside of a well-formed JSON string means.
// The head goes in front once the length is known.
func appendStrUnescaped(dst, inside []byte) []byte {
	at := len(dst)
	dst = appendUnescaped(dst, inside)
	var room [5]byte
	return insert(dst, at, appendStrHead(room[:0], len(dst)-at))
}

// insert puts head in front of what dst has from at on.
func insert(dst []byte, at int, head []byte) []byte {
	end := len(dst)
	dst = append(dst, head...)
	copy(dst[at+len(head):], dst[at:end])
	copy(dst[at:], head)
	return dst
}
