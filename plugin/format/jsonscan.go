package format

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// What makes JSON malformed.
const (
	faultValue   fault = "a value is expected here"
	faultKey     fault = "a key in double quotes is expected here"
	faultColon   fault = "a colon is expected behind the key"
	faultComma   fault = "a comma or the closing bracket is expected here"
	faultControl fault = "a control character in a string must be escaped"
	faultEscape  fault = "the escape is unknown"
	faultNumber  fault = "the number is malformed"
	faultTail    fault = "something follows the value"
)

// nesting remembers for every open level whether it is an object.
type nesting struct {
	objects [maxDepth / 64]uint64
	depth   int
}

func (n *nesting) open(object bool) bool {
	if n.depth == maxDepth {
		return false
	}
	word, bit := n.depth/64, uint64(1)<<(n.depth%64)
	n.objects[word] &^= bit
	if object {
		n.objects[word] |= bit
	}
	n.depth++
	return true
}

func (n *nesting) inObject() bool {
	d := n.depth - 1
	return n.objects[d/64]>>(d%64)&1 == 1
}

// scanJSON returns the index behind the JSON value that begins at or after i. On a
// fault the index is where it was found. Whether strings are UTF-8 is not looked at.
func scanJSON(b []byte, i int) (int, fault) {
	var open nesting
	for {
		i = skipSpace(b, i)
		if i >= len(b) {
			return i, faultEnd
		}
		var why fault
		entered := false
		switch c := b[i]; c {
		case '"':
			i, why = scanString(b, i+1)
		case '{', '[':
			i, entered, why = enter(&open, b, i)
		case 't':
			i, why = scanWord(b, i, "true")
		case 'f':
			i, why = scanWord(b, i, "false")
		case 'n':
			i, why = scanWord(b, i, "null")
		default:
			i, why = scanNumber(b, i)
		}
		if why != "" {
			return i, why
		}
		if entered {
			continue
		}
		done := false
		if i, done, why = leave(&open, b, i); done || why != "" {
			return i, why
		}
	}
}

// enter opens the array or object at i. It returns entered when a value comes next,
// else the container was empty and is closed already.
func enter(open *nesting, b []byte, i int) (next int, entered bool, why fault) {
	object := b[i] == '{'
	if !open.open(object) {
		return i, false, faultDeep
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closer(object) {
		open.depth--
		return i + 1, false, ""
	}
	if object {
		i, why = scanKey(b, i)
	}
	return i, true, why
}

// leave goes on behind a value: over a comma to where the next one begins, and out
// of every container that ends here. done means that the outermost value has ended.
func leave(open *nesting, b []byte, i int) (next int, done bool, why fault) {
	for open.depth > 0 {
		i = skipSpace(b, i)
		if i >= len(b) {
			return i, false, faultEnd
		}
		object := open.inObject()
		switch {
		case b[i] == ',':
			i++
			if object {
				i, why = scanKey(b, i)
			}
			return i, false, why
		case b[i] != closer(object):
			return i, false, faultComma
		}
		i++
		open.depth--
	}
	return i, true, ""
}

func closer(object bool) byte {
	if object {
		return '}'
	}
	return ']'
}

// scanKey returns the index behind the colon of the key at or after i.
func scanKey(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i >= len(b) {
		return i, faultEnd
	}
	if b[i] != '"' {
		return i, faultKey
	}
	i, why := scanString(b, i+1)
	if why != "" {
		return i, why
	}
	return scanColon(b, i)
}

func scanColon(b []byte, i int) (int, fault) {
	i = skipSpace(b, i)
	if i >= len(b) {
		return i, faultEnd
	}
	if b[i] != ':' {
		return i, faultColon
	}
	return i + 1, ""
}

// scanString returns the index behind the quote that ends the string whose first
// character is at i.
func scanString(b []byte, i int) (int, fault) {
	for {
		i = skipPlain(b, i)
		if i >= len(b) {
			return i, faultEnd
		}
		switch b[i] {
		case '"':
			return i + 1, ""
		case '\\':
			var why fault
			if i, why = scanEscape(b, i+1); why != "" {
				return i, why
			}
		default:
			return i, faultControl
		}
	}
}

func scanEscape(b []byte, i int) (int, fault) {
	if i >= len(b) {
		return i, faultEnd
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, ""
	case 'u':
		for j := i + 1; j < i+5; j++ {
			if j >= len(b) {
				return j, faultEnd
			}
			if unhex(b[j]) > 15 {
				return j, faultEscape
			}
		}
		return i + 5, ""
	}
	return i, faultEscape
}

// unhex returns the value of a hexadecimal digit, and 255 for anything else.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// skipPlain returns the first index from i on with a quote, a backslash or a
// control character. It looks at eight bytes at a time: subtracting marks the high
// bit of each byte below a bound, and the lowest mark is always a true one.
func skipPlain(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^ones*'"', x^ones*'\\'
		marks := (x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash
		if marks &= highs; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func scanWord(b []byte, i int, word string) (int, fault) {
	for j := range len(word) {
		if i+j >= len(b) {
			return i + j, faultEnd
		}
		if b[i+j] != word[j] {
			return i + j, faultValue
		}
	}
	return i + len(word), ""
}

func scanNumber(b []byte, i int) (int, fault) {
	start := i
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && '1' <= b[i] && b[i] <= '9':
		i = skipDigits(b, i)
	case i == start:
		return i, faultValue
	default:
		return i, faultNumber
	}
	if i < len(b) && b[i] == '.' {
		digits := i + 1
		if i = skipDigits(b, digits); i == digits {
			return i, faultNumber
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		digits := i + 1
		if digits < len(b) && (b[digits] == '+' || b[digits] == '-') {
			digits++
		}
		if i = skipDigits(b, digits); i == digits {
			return i, faultNumber
		}
	}
	return i, ""
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// validID reports whether id is JSON and a string or an integer.
func validID(id []byte) bool {
	if len(id) == 0 {
		return false
	}
	if id[0] != '"' {
		i, why := scanNumber(id, 0)
		_, ok := parseInt(id)
		return ok && why == "" && i == len(id)
	}
	i, why := scanString(id, 1)
	return why == "" && i == len(id) && utf8.Valid(id)
}
