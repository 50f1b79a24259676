package format

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/antano/antano/shared"
)

// Type is what a client wants, the `type` of its message object.
type Type uint8

// The types that a client may send. TypeMessage is the one of an object without
// `type`.
const (
	TypeMessage Type = iota
	TypeJoin
	TypeLeave
	TypePing
	TypeWhoami
)

var typeNames = [...]string{"message", "join", "leave", "ping", "whoami"}

// String returns the type's name as it stands in a message object.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Envelope is one message object as a client sent it. Its slices alias the
// payload or the envelope's own buffer: they are valid until the payload changes
// or the envelope is parsed into again. Reusing one envelope for many payloads
// saves allocations; the zero value is ready.
type Envelope struct {
	Type      Type
	Entity    []byte // valid UTF-8 of 1 to 255 bytes; nil when none was given
	EntityID  int64  // given whenever Entity is, unless Type ignores both
	ProcessID int    // 0 to shared.MaxProcessID, or shared.AnyProcess
	ID        []byte // the `id` as JSON, a string or an integer; nil without
	Message   []byte // the raw `message` value in the format parsed; set for TypeMessage

	scratch []byte   // what had to be unescaped or transcoded
	unknown [][]byte // keys of the object that mean nothing to us
}

// To returns the entity as an Address. It allocates for the name of a group only.
func (e *Envelope) To() shared.Address {
	switch string(e.Entity) {
	case shared.EntityClient:
		return shared.Address{Entity: shared.EntityClient, ID: e.EntityID}
	case shared.EntityService:
		return shared.Address{Entity: shared.EntityService, ID: e.EntityID}
	}
	return shared.Address{Entity: string(e.Entity), ID: e.EntityID}
}

// Supported reports whether f has a codec here. Parse and Convert answer
// `unsupported` for any other format.
func Supported(f shared.FormatID) bool {
	return f >= shared.FormatJSON && f <= shared.FormatBinary
}

// Parse reads one payload in format f into env. An error is a *shared.Error,
// bad_message in all but an unknown format; then only env.ID is meaningful, which
// is set whenever the payload's `id` could be read, so that the answer can carry
// it. The payload of a bare format becomes a message without an address.
//
// An unknown key is ignored. The value of `message` is checked to be well-formed
// and nested no deeper than 512 levels, and is not decoded.
func Parse(f shared.FormatID, payload []byte, env *Envelope) error {
	*env = Envelope{ProcessID: shared.AnyProcess, scratch: env.scratch[:0], unknown: env.unknown[:0]}
	switch f {
	case shared.FormatJSON:
		return env.parseJSON(payload)
	case shared.FormatMsgpack:
		return env.parseMsgpack(payload)
	case shared.FormatText:
		if !utf8.Valid(payload) {
			return bad("the text is not valid UTF-8: send UTF-8, or use the binary format")
		}
	case shared.FormatBinary:
	default:
		return shared.Errorf(shared.CodeUnsupported, "%s has no codec: use json, msgpack, text or binary", f)
	}
	env.Message = payload
	return nil
}

// bad builds the error for a payload that breaks the rules of the message object.
func bad(format string, args ...any) *shared.Error {
	return shared.Errorf(shared.CodeBadMessage, format, args...)
}

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
	p.checkUnknown()
	e := p.env
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

// checkUnknown refuses an unknown key that is there twice. Few keys are compared
// pair by pair; many are sorted first, so that a hostile object costs n log n.
func (p *fields) checkUnknown() {
	const few = 16
	names := p.env.unknown
	if len(names) > few {
		slices.SortFunc(names, bytes.Compare)
	}
	for i, name := range names {
		rest := names[i+1:]
		if len(names) > few {
			rest = rest[:min(1, len(rest))]
		}
		for _, other := range rest {
			if bytes.Equal(name, other) {
				p.fail("the key %.40q is there twice: give it once", name)
				break
			}
		}
	}
	if clear(names); cap(names) > 4*few {
		p.env.unknown = nil
	}
}

// fault is what makes a value malformed, "" when nothing does.
type fault string

const (
	faultDeep fault = "it is nested deeper than 512 levels"
	faultEnd  fault = "it ends too early"
)

// maxDepth bounds how deep arrays and objects of one value nest.
const maxDepth = 512

func unsupported(format string, args ...any) *shared.Error {
	return shared.Errorf(shared.CodeUnsupported, format, args...)
}
