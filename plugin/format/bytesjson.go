package format

import (
	"bytes"
	"encoding/base64"

	"github.com/tinylib/msgp/msgp"
)

// bytesJSON recognises {"$b64": "…"} at i in well-formed JSON. It returns the inside
// of the string, still escaped, and the index behind the object. What is in the
// string is not looked at.
func bytesJSON(b []byte, i int) (encoded []byte, end int, ok bool) {
	if b[i] != '{' {
		return nil, i, false
	}
	i = skipSpace(b, i+1)
	if b[i] != '"' {
		return nil, i, false
	}
	nameAt := i + 1
	i, _ = scanString(b, nameAt)
	if !isBytesKey(b[nameAt : i-1]) {
		return nil, i, false
	}
	i = skipSpace(b, skipSpace(b, i)+1)
	if b[i] != '"' {
		return nil, i, false
	}
	valueAt := i + 1
	i, _ = scanString(b, valueAt)
	encoded = b[valueAt : i-1]
	if i = skipSpace(b, i); b[i] != '}' {
		return nil, i, false
	}
	return encoded, i + 1, true
}

func isBytesKey(inside []byte) bool {
	if string(inside) == bytesKey {
		return true
	}
	const longest = len(bytesKey) * len(`\u0000`)
	if len(inside) > longest || bytes.IndexByte(inside, '\\') < 0 {
		return false
	}
	return string(appendUnescaped(make([]byte, 0, longest), inside)) == bytesKey
}

// strict refuses padding bits that are not zero, so that every accepted string is
// the one that encoding the bytes again gives.
var strict = base64.StdEncoding.Strict()

// appendBase64Decoded appends the bytes that the inside of a JSON string encodes,
// and reports false if it is no canonical base64.
func appendBase64Decoded(dst, inside []byte) ([]byte, bool) {
	if bytes.IndexByte(inside, '\\') >= 0 {
		inside = appendUnescaped(nil, inside)
	}
	// The decoder of the standard library skips line breaks.
	if len(inside)%4 != 0 || bytes.ContainsAny(inside, "\r\n") {
		return dst, false
	}
	out, err := strict.AppendDecode(dst, inside)
	return out, err == nil
}

// appendBin64 appends as msgpack bin the bytes that the inside of a JSON string
// encodes, and reports false, with dst as it came, if it is no canonical base64.
func appendBin64(dst, inside []byte) ([]byte, bool) {
	out, ok := appendBase64Decoded(append(dst, 0, 0), inside)
	if !ok {
		return dst, false
	}
	return msgp.AppendBytesTwoPrefixed(out, len(out)-len(dst)-2), true
}
