package format

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// parseJSON reads one message object.
func (e *Envelope) parseJSON(b []byte) error {
	p := fields{env: e}
	i, why := p.scanObject(b)
	if why == "" {
		if i = skipSpace(b, i); i < len(b) {
			why = faultTail
		}
	}
	if !utf8.Valid(b) {
		if !utf8.Valid(e.ID) {
			e.ID = nil
		}
		return bad("the message is not valid UTF-8: send JSON as UTF-8")
	}
	switch why {
	case "":
		return p.finish()
	case faultObject:
		return bad("a message is one JSON object: send {\"message\": …}")
	case faultDeep:
		return bad("%s", tooDeep)
	}
	return bad("the message is not valid JSON, at byte %d: %s", i, why)
}

const faultObject fault = "not an object"

const tooDeep = "the message is nested deeper than 512 levels: make it flatter"

// scanObject reads the pairs of the object in b and returns the index behind it.
func (p *fields) scanObject(b []byte) (int, fault) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return i, faultObject
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		return i + 1, ""
	}
	for {
		var why fault
		if i, why = p.scanPair(b, i); why != "" {
			return i, why
		}
		i = skipSpace(b, i)
		switch {
		case i >= len(b):
			return i, faultEnd
		case b[i] == '}':
			return i + 1, ""
		case b[i] != ',':
			return i, faultComma
		}
		i = skipSpace(b, i+1)
	}
}

// scanPair reads one key and its value.
func (p *fields) scanPair(b []byte, i int) (int, fault) {
	if i >= len(b) {
		return i, faultEnd
	}
	if b[i] != '"' {
		return i, faultKey
	}
	nameAt := i + 1
	i, why := scanString(b, nameAt)
	if why != "" {
		return i, why
	}
	name := p.env.unescape(b[nameAt : i-1])
	if i, why = scanColon(b, i); why != "" {
		return i, why
	}
	at := skipSpace(b, i)
	if i, why = scanJSON(b, at); why != "" {
		return i, why
	}
	k := keyOf(name)
	if !p.begin(k, name) {
		return i, ""
	}
	raw := b[at:i:i]
	if k == keyMessage {
		p.env.Message = raw
	} else {
		p.set(k, p.env.scalarJSON(raw), raw)
	}
	return i, ""
}

// unescape returns what the inside of a JSON string means: the string itself where
// nothing is escaped, else a copy in the envelope's buffer.
func (e *Envelope) unescape(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	at := len(e.scratch)
	e.scratch = appendUnescaped(e.scratch, inside)
	return e.scratch[at:len(e.scratch):len(e.scratch)]
}

// scalarJSON decodes a well-formed JSON value, if it is a string or an integer.
func (e *Envelope) scalarJSON(raw []byte) scalar {
	if raw[0] == '"' {
		return scalar{kind: scalarString, str: e.unescape(raw[1 : len(raw)-1])}
	}
	if n, ok := parseInt(raw); ok {
		return scalar{kind: scalarInt, num: n}
	}
	return scalar{}
}

// parseInt reads a well-formed JSON value that is an integer of 64 bits, written
// without fraction and exponent.
func parseInt(raw []byte) (int64, bool) {
	negative := raw[0] == '-'
	if negative {
		raw = raw[1:]
	}
	n, ok := parseUint(raw)
	switch {
	case negative && n <= 1<<63:
		return -int64(n), ok
	case n <= math.MaxInt64:
		return int64(n), ok
	}
	return 0, false
}

// parseUint reads a well-formed JSON value that consists of digits alone and fits.
func parseUint(raw []byte) (uint64, bool) {
	n := uint64(0)
	if len(raw) < len("18446744073709551615") { // no overflow
		for _, c := range raw {
			d := uint64(c - '0')
			if d > 9 {
				return 0, false
			}
			n = 10*n + d
		}
		return n, true
	}
	for _, c := range raw {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || 10*n > math.MaxUint64-d {
			return 0, false
		}
		n = 10*n + d
	}
	return n, true
}
