package format

import (
	"encoding/binary"
	"math/bits"
)

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
