package format

import (
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
		err := env.parseJSON(payload)
		env.dropUnknown()
		return err
	case shared.FormatMsgpack:
		err := env.parseMsgpack(payload)
		env.dropUnknown()
		return err
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
