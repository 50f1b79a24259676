package format

import (
	"strconv"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// parseMsgpack reads one message object.
func (e *Envelope) parseMsgpack(b []byte) error {
	if msgp.NextType(b) != msgp.MapType {
		return bad(noMap)
	}
	n, rest, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return bad(noMap)
	}
	p := fields{env: e}
	why := fault("")
	for range n {
		if rest, why = p.scanMsgpackPair(rest); why != "" {
			break
		}
	}
	if why == "" && len(rest) > 0 {
		why = faultTail
	}
	switch why {
	case "":
		return p.finish()
	case faultDeep:
		return bad("%s", tooDeep)
	}
	return bad("the message is not valid msgpack, at byte %d: %s", len(b)-len(rest), why)
}

const noMap = "a message is one msgpack map: send {\"message\": …}"

// scanMsgpackPair reads the key and value that b begins with, and returns what
// follows them. With a fault it returns what begins with the fault.
func (p *fields) scanMsgpackPair(b []byte) (rest []byte, why fault) {
	name, value, why := readScalar(b)
	if why != "" {
		return value, why
	}
	k := keyUnknown
	if name.kind == scalarString {
		k = keyOf(name.str)
	}
	var v scalar
	if k == keyMessage {
		rest, why = skipMsgpack(value, maxDepth)
	} else {
		v, rest, why = readScalar(value)
	}
	if why != "" {
		return rest, why
	}
	if k == keyUnknown && (name.kind != scalarString || !utf8.Valid(name.str)) {
		p.fail("the keys of a message must be UTF-8 strings")
		return rest, ""
	}
	if !p.begin(k, name.str) {
		return rest, ""
	}
	var id []byte
	switch k {
	case keyMessage:
		size := len(value) - len(rest)
		p.env.Message = value[:size:size]
		return rest, ""
	case keyID:
		id = p.env.idJSON(&v)
	}
	p.set(k, v, id)
	return rest, ""
}

// readScalar decodes the value that b begins with, if it is a string or an integer,
// and returns what follows it. With a fault it returns what begins with the fault.
func readScalar(b []byte) (v scalar, rest []byte, why fault) {
	t, why := nextType(b)
	if why != "" {
		return scalar{}, b, why
	}
	switch t {
	case msgp.StrType:
		s, rest, err := msgp.ReadStringZC(b)
		if err != nil {
			return scalar{}, b, faultEnd
		}
		return scalar{kind: scalarString, str: s}, rest, ""
	case msgp.IntType, msgp.UintType:
		if n, rest, err := msgp.ReadInt64Bytes(b); err == nil {
			return scalar{kind: scalarInt, num: n}, rest, ""
		}
	}
	rest, why = skipMsgpack(b, maxDepth)
	return scalar{}, rest, why
}

// idJSON encodes an id as JSON into the envelope's buffer. A string that is not
// UTF-8 becomes scalarOther, which no id may be.
func (e *Envelope) idJSON(v *scalar) []byte {
	at := len(e.scratch)
	switch {
	case v.kind == scalarInt:
		e.scratch = strconv.AppendInt(e.scratch, v.num, 10)
	case v.kind == scalarString && utf8.Valid(v.str):
		e.scratch = appendQuoted(e.scratch, v.str)
	default:
		v.kind = scalarOther
	}
	return e.scratch[at:len(e.scratch):len(e.scratch)]
}
