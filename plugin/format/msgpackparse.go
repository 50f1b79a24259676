package format

import (
	"strconv"
	"unicode/utf8"
)

// parseMsgpack reads one message object.
func (e *Envelope) parseMsgpack(b []byte) error {
	p := fields{env: e}
	h, i, why := readHead(b, 0)
	if why != "" || h.kind != headMap {
		return bad("a message is one msgpack map: send {\"message\": …}")
	}
	for range h.n {
		if i, why = p.scanMsgpackPair(b, i); why != "" {
			break
		}
	}
	if why == "" && i < len(b) {
		why = faultTail
	}
	switch why {
	case "":
		return p.finish()
	case faultDeep:
		return bad("%s", tooDeep)
	}
	return bad("the message is not valid msgpack, at byte %d: %s", i, why)
}

// scanMsgpackPair reads one key and its value.
func (p *fields) scanMsgpackPair(b []byte, i int) (int, fault) {
	h, nameAt, why := readHead(b, i)
	if why != "" {
		return nameAt, why
	}
	var name []byte
	at := nameAt
	if h.kind == headStr {
		at += int(h.n)
		name = b[nameAt:at]
	} else if at, why = scanMsgpack(b, i, maxDepth); why != "" {
		return at, why
	}
	end, why := scanMsgpack(b, at, maxDepth)
	if why != "" {
		return end, why
	}
	if h.kind != headStr || !utf8.Valid(name) {
		p.fail("the keys of a message must be UTF-8 strings")
		return end, ""
	}
	k := keyOf(name)
	if !p.begin(k, name) {
		return end, ""
	}
	if k == keyMessage {
		p.env.Message = b[at:end:end]
		return end, ""
	}
	v := scalarMsgpack(b, at)
	var id []byte
	if k == keyID {
		id = p.env.idJSON(&v)
	}
	p.set(k, v, id)
	return end, ""
}

// scalarMsgpack decodes the well-formed value at i, if it is a string or an integer.
func scalarMsgpack(b []byte, i int) scalar {
	h, i, _ := readHead(b, i)
	switch h.kind {
	case headStr:
		return scalar{kind: scalarString, str: b[i : i+int(h.n)]}
	case headInt:
		return scalar{kind: scalarInt, num: int64(h.n)}
	}
	return scalar{}
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
