package format

import (
	"slices"
	"unicode/utf8"

	"github.com/antano/antano/shared"
)

// key is a known key of the message object, as a bit.
type key uint8

const (
	keyType key = 1 << iota
	keyEntity
	keyEntityID
	keyProcessID
	keyID
	keyMessage
	keyUnknown key = 0
)

func keyOf(name []byte) key {
	switch string(name) {
	case "type":
		return keyType
	case "entity":
		return keyEntity
	case "entity_id":
		return keyEntityID
	case "process_id":
		return keyProcessID
	case "id":
		return keyID
	case "message":
		return keyMessage
	}
	return keyUnknown
}

// scalar is the value of a known key, decoded.
type scalar struct {
	kind scalarKind
	str  []byte
	num  int64
}

type scalarKind uint8

const (
	scalarOther scalarKind = iota // also an integer beyond int64
	scalarString
	scalarInt
)

// fields collects the pairs of one object. Only the first problem is kept, and
// reading goes on behind it, because the id may still come.
type fields struct {
	env     *Envelope
	seen    key
	problem *shared.Error
}

func (p *fields) fail(format string, args ...any) {
	if p.problem == nil {
		p.problem = bad(format, args...)
	}
}

// begin notes a key and reports whether its value is to be looked at.
func (p *fields) begin(k key, name []byte) bool {
	switch {
	case k == keyUnknown:
		p.env.unknown = append(p.env.unknown, name)
		return false
	case p.seen&k != 0:
		p.fail("the key %q is there twice: give it once", name)
		return false
	}
	p.seen |= k
	return true
}

// set takes the value of a known key other than message. id is v as JSON.
func (p *fields) set(k key, v scalar, id []byte) {
	e := p.env
	switch k {
	case keyType:
		i := slices.IndexFunc(typeNames[:], func(name string) bool { return name == string(v.str) })
		if v.kind != scalarString || i < 0 {
			p.fail("the type is unknown: use message, join, leave, ping or whoami")
			return
		}
		e.Type = Type(i)
	case keyEntity:
		switch {
		case v.kind != scalarString:
			p.fail("entity must be a string")
		case len(v.str) == 0 || len(v.str) > shared.MaxEntityName || !utf8.Valid(v.str):
			p.fail("entity must be 1 to %d bytes of UTF-8, this has %d bytes", shared.MaxEntityName, len(v.str))
		default:
			e.Entity = v.str
		}
	case keyEntityID:
		if v.kind != scalarInt {
			p.fail("entity_id must be an integer of 64 bits, without fraction or exponent")
		}
		e.EntityID = v.num
	case keyProcessID:
		if v.kind != scalarInt || v.num < 0 || v.num > shared.MaxProcessID {
			p.fail("process_id must be an integer from 0 to %d", shared.MaxProcessID)
			return
		}
		e.ProcessID = int(v.num)
	case keyID:
		switch {
		case v.kind == scalarOther:
			p.fail("id must be a string or an integer of 64 bits")
		case len(id) > shared.MaxMessageID:
			p.fail("id has %d bytes as JSON: use at most %d", len(id), shared.MaxMessageID)
		default:
			e.ID = id
		}
	}
}

// finish checks what only the whole object shows.
func (p *fields) finish() error {
	e := p.env
	if name, ok := twice(e.unknown); ok {
		p.fail("the key %.40q is there twice: give it once", name)
	}
	switch e.Type {
	case TypeMessage:
		if p.seen&keyMessage == 0 {
			p.fail("message is missing: give the value to deliver, null if there is none")
		}
		if p.seen&(keyEntity|keyEntityID) == keyEntity {
			p.fail("entity_id is missing: give the integer that goes with entity")
		}
	case TypeJoin, TypeLeave:
		if p.seen&keyEntity == 0 || p.seen&keyEntityID == 0 {
			p.fail("%s needs both entity and entity_id: name the group", e.Type)
		}
	}
	if p.problem != nil {
		return p.problem
	}
	return nil
}
