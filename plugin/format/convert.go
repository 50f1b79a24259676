package format

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/antano/antano/shared"
)

// Convert appends value, which is of format from, to dst in format to. The error is
// `unsupported`, and dst is then returned as it came. Equal formats are copied
// unseen; in all other cases a malformed value is refused.
//
// A string is a JSON string, a msgpack str or a text. Bytes are a msgpack bin, the
// JSON object {"$b64": "…"} with this one key and canonical standard base64, or a
// binary value. Both stay what they are in JSON and msgpack; as text and binary
// they go out bare, where bytes that are not UTF-8 are no text. Any other value
// goes out as compact JSON there.
//
// Between JSON and msgpack, integers from -2^63 to 2^64-1 are exact. A JSON number
// with fraction or exponent, or beyond that range, becomes a float64; a float
// becomes the shortest JSON number that reads back as the same float64, always with
// fraction or exponent. Half a surrogate pair becomes U+FFFD. A key that is there
// twice passes through twice. Unsupported are NaN, infinities and numbers beyond
// float64, extension types and timestamps, map keys that are no strings, strings
// that are not UTF-8, and more than 512 levels.
func Convert(dst, value []byte, from, to shared.FormatID) ([]byte, error) {
	if !Supported(from) || !Supported(to) {
		return dst, unsupported("a value in %s cannot be converted to %s: use json, msgpack, text or binary", from, to)
	}
	if from == to {
		return append(dst, value...), nil
	}
	out, why := dst, fault("")
	switch from {
	case shared.FormatJSON:
		out, why = convertJSON(dst, value, to)
	case shared.FormatMsgpack:
		out, why = convertMsgpack(dst, value, to)
	case shared.FormatText:
		out, why = convertText(dst, value, to)
	case shared.FormatBinary:
		out, why = convertBinary(dst, value, to)
	}
	if why != "" {
		return dst, unsupported("the message cannot be converted from %s to %s: %s", from, to, why)
	}
	return out, nil
}

// Check reports whether value is one well-formed value of format f, nested no
// deeper than 512 levels: what may go out without a look at it. The error is
// `unsupported`.
func Check(f shared.FormatID, value []byte) error {
	var why fault
	switch f {
	case shared.FormatJSON:
		why = checkJSON(value)
	case shared.FormatMsgpack:
		var rest []byte
		if rest, why = skipMsgpack(value, maxDepth); why == "" && len(rest) > 0 {
			why = faultTail
		}
	case shared.FormatText:
		why = checkUTF8(value)
	case shared.FormatBinary:
	default:
		why = "it has no codec"
	}
	if why != "" {
		return unsupported("the message is no valid %s: %s", f, why)
	}
	return nil
}

// What cannot be converted.
const (
	faultUTF8  fault = "it is not valid UTF-8"
	faultStr   fault = "it contains a string that is not UTF-8"
	faultMapID fault = "it contains a map key that is not a string"
	faultExt   fault = "it contains an extension type"
	faultNaN   fault = "it contains a NaN or an infinity"
	faultRange fault = "it contains a number beyond float64"
)

func checkUTF8(b []byte) fault {
	if !utf8.Valid(b) {
		return faultUTF8
	}
	return ""
}

func checkJSON(b []byte) fault {
	i, why := scanJSON(b, 0)
	if why != "" {
		return why
	}
	if skipSpace(b, i) < len(b) {
		return faultTail
	}
	return checkUTF8(b)
}

func convertJSON(dst, b []byte, to shared.FormatID) ([]byte, fault) {
	if why := checkJSON(b); why != "" {
		return dst, why
	}
	b = b[skipSpace(b, 0):]
	if to == shared.FormatMsgpack {
		return jsonToMsgpack(dst, b)
	}
	if b[0] == '"' {
		end, _ := scanString(b, 1)
		return appendUnescaped(dst, b[1:end-1]), ""
	}
	if encoded, _, ok := bytesJSON(b, 0); ok {
		at := len(dst)
		if out, ok := appendBase64Decoded(dst, encoded); ok {
			if to == shared.FormatText {
				return out, checkUTF8(out[at:])
			}
			return out, ""
		}
	}
	return appendCompact(dst, b), ""
}

func convertMsgpack(dst, b []byte, to shared.FormatID) ([]byte, fault) {
	t, why := nextType(b)
	if why != "" {
		return dst, why
	}
	if to == shared.FormatJSON || t != msgp.StrType && t != msgp.BinType {
		return msgpackToJSON(dst, b)
	}
	read := msgp.ReadBytesZC
	if t == msgp.StrType {
		read = msgp.ReadStringZC
	}
	value, rest, err := read(b)
	switch {
	case err != nil:
		return dst, faultEnd
	case len(rest) > 0:
		return dst, faultTail
	case to == shared.FormatText || t == msgp.StrType:
		why = checkUTF8(value)
	}
	return append(dst, value...), why
}

func convertText(dst, b []byte, to shared.FormatID) ([]byte, fault) {
	why := checkUTF8(b)
	switch to {
	case shared.FormatJSON:
		return appendQuoted(dst, b), why
	case shared.FormatMsgpack:
		return msgp.AppendStringFromBytes(dst, b), why
	}
	return append(dst, b...), ""
}

func convertBinary(dst, b []byte, to shared.FormatID) ([]byte, fault) {
	switch to {
	case shared.FormatJSON:
		return appendBytesJSON(dst, b), ""
	case shared.FormatMsgpack:
		return msgp.AppendBytes(dst, b), ""
	}
	return append(dst, b...), checkUTF8(b)
}

// bytesKey is the one key of a JSON object that means bytes.
const bytesKey = "$b64"

func appendBytesJSON(dst, b []byte) []byte {
	dst = append(dst, `{"`+bytesKey+`":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"', '}')
}
