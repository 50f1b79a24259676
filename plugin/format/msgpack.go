package format

import (
	"encoding/binary"
	"math/bits"

	"github.com/tinylib/msgp/msgp"
)

// The msgpack encoding is msgp's. This file has the rest, which msgp does not do or
// does otherwise: msgp.Skip goes down 100000 levels; a length of 2 GiB or more makes
// its readers panic on machines of 32 bits; its AppendInt64 does not choose the
// shortest form; and it cannot put a head before a string that is already written,
// if that is to be the shortest head.

// faultCode is the one byte that begins no msgpack value.
const faultCode fault = "the byte 0xc1 is no value"

// nextType tells what b begins with. When it finds no fault, all that can be wrong
// with a scalar, string, bin or extension, or with the head of an array or map, is
// that it ends too early.
func nextType(b []byte) (msgp.Type, fault) {
	if len(b) == 0 {
		return msgp.InvalidType, faultEnd
	}
	t := msgp.NextType(b)
	if t == msgp.InvalidType {
		return t, faultCode
	}
	if bits.UintSize == 32 && len(b) >= 5 && hasLength32(b[0]) && binary.BigEndian.Uint32(b[1:]) > uint32(len(b)) {
		return t, faultEnd
	}
	return t, ""
}

// hasLength32 reports whether a code is bin 32, ext 32 or str 32.
func hasLength32(code byte) bool {
	return code == 0xc6 || code == 0xc9 || code == 0xdb
}

// skipMsgpack returns what follows the value that b begins with, which may nest
// levels deep. With a fault it returns what begins with the fault.
func skipMsgpack(b []byte, levels int) (rest []byte, why fault) {
	t, why := nextType(b)
	if why != "" {
		return b, why
	}
	var n uint32
	var err error
	values := uint64(0)
	switch t {
	case msgp.ArrayType:
		n, rest, err = msgp.ReadArrayHeaderBytes(b)
		values = uint64(n)
	case msgp.MapType:
		n, rest, err = msgp.ReadMapHeaderBytes(b)
		values = 2 * uint64(n)
	default:
		if rest, err = msgp.Skip(b); err != nil {
			return b, faultEnd
		}
		return rest, ""
	}
	if err != nil {
		return b, faultEnd
	}
	if levels == 0 {
		return b, faultDeep
	}
	for ; values > 0; values-- {
		if rest, why = skipMsgpack(rest, levels-1); why != "" {
			break
		}
	}
	return rest, why
}

// appendInt appends the shortest form.
func appendInt(dst []byte, n int64) []byte {
	if n >= 0 {
		return msgp.AppendUint64(dst, uint64(n))
	}
	return msgp.AppendInt64(dst, n)
}

// appendStrUnescaped appends what the inside of a well-formed JSON string means, and
// moves it if the head takes other than the two bytes left free.
func appendStrUnescaped(dst, inside []byte) []byte {
	at := len(dst)
	dst = appendUnescaped(append(dst, 0, 0), inside)
	value := dst[at+2:]
	if len(value) < 32 {
		return msgp.AppendStringFromBytes(dst[:at], value)
	}
	return msgp.AppendBytesStringTwoPrefixed(dst, len(value))
}
