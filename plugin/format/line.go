package format

import "bytes"

// OneLine appends a well-formed JSON value with the line breaks between its tokens
// turned into spaces, for `line` framing. Inside strings JSON has no raw line
// breaks. Source: docs/message.md.
func OneLine(dst, json []byte) []byte {
	at := len(dst)
	dst = append(dst, json...)
	for _, c := range [...]byte{'\n', '\r'} {
		for line := dst[at:]; ; {
			i := bytes.IndexByte(line, c)
			if i < 0 {
				break
			}
			line[i] = ' '
			line = line[i+1:]
		}
	}
	return dst
}

// HasNewline reports whether text would not come back as it is from `line` framing,
// which ends a line at LF or CRLF: because it contains an LF or ends with a CR.
func HasNewline(text []byte) bool {
	return bytes.IndexByte(text, '\n') >= 0 || bytes.HasSuffix(text, []byte{'\r'})
}
