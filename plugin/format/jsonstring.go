package format

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// appendQuoted appends s as a JSON string. s must be valid UTF-8.
func appendQuoted[S []byte | string](dst []byte, s S) []byte {
	dst = append(dst, '"')
	at := len(dst)
	dst = append(dst, s...)
	if plain := skipPlain(dst, at); plain < len(dst) {
		dst = appendEscaped(dst[:plain], s[plain-at:])
	}
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string.
func appendEscaped[S []byte | string](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(dst, s[from:]...)
}

// appendUnescaped appends the characters that the inside of a well-formed JSON
// string means. Half a surrogate pair becomes U+FFFD, as in encoding/json.
func appendUnescaped(dst, inside []byte) []byte {
	for {
		i := bytes.IndexByte(inside, '\\')
		if i < 0 {
			return append(dst, inside...)
		}
		dst = append(dst, inside[:i]...)
		c := inside[i+1]
		inside = inside[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(inside)
			inside = inside[4:]
			if utf16.IsSurrogate(r) {
				low := rune(utf8.RuneError)
				if len(inside) >= 6 && inside[0] == '\\' && inside[1] == 'u' {
					low = hex4(inside[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					inside = inside[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
}

// hex4 reads the four hexadecimal digits of a \u escape.
func hex4(b []byte) rune {
	return rune(unhex(b[0]))<<12 | rune(unhex(b[1]))<<8 | rune(unhex(b[2]))<<4 | rune(unhex(b[3]))
}
