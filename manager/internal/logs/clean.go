package logs

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxKey bounds the name of a field, in bytes.
const maxKey = 64

// clean makes text fit for a log and a terminal: no escape sequences, no control
// characters but tabs, no invalid UTF-8. A newline becomes the two characters \n.
func clean(s string) string {
	if isClean(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for len(s) > 0 {
		if n := escape(s); n > 0 {
			s = s[n:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t' || unicode.IsPrint(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isClean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || r != '\t' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// escape returns the length of the terminal escape sequence that s begins with: ESC,
// and for ESC [ all up to the letter that ends it.
func escape(s string) int {
	if s[0] != 0x1b {
		return 0
	}
	if len(s) < 2 || s[1] != '[' {
		return 1
	}
	for i := 2; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x3f {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			return i
		}
	}
	return len(s)
}

// cleanKey makes the name of a field: no spaces, no quotes, no '='.
func cleanKey(key string) string {
	key = strings.Map(func(r rune) rune {
		if r <= ' ' || r == '=' || r == '"' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, strings.TrimLeft(key, "@"))
	if len(key) > maxKey {
		key = strings.ToValidUTF8(key[:maxKey], "")
	}
	if key == "" {
		return "_"
	}
	return key
}
