package wire

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/antano/antano/shared"
)

// Kind says what an entity is, so that the manager routes without reading names.
type Kind uint8

// The kinds of an entity.
const (
	KindClient  Kind = 1
	KindService Kind = 2
	KindGroup   Kind = 3
)

// KindOf returns the kind that an entity's name means.
func KindOf(entity string) Kind {
	switch entity {
	case shared.EntityClient:
		return KindClient
	case shared.EntityService:
		return KindService
	}
	return KindGroup
}

// The flags of a message.
const (
	// FlagStream: the source is a stream that can wait, so a full queue pushes
	// back on it before the copy is dropped.
	FlagStream uint8 = 1 << 0
	// FlagReply: ID is the id that this message answers (`in_reply_to`), not its own.
	FlagReply uint8 = 1 << 1
	// FlagRefused: a message without a token was refused by its destination; Value is
	// one byte, the shared.Code. It goes to the sender's client, which is told if the
	// code is one that is told without an id.
	FlagRefused uint8 = 1 << 2
)

// AnyProcess is the process field of a message that restricts nothing.
const AnyProcess uint16 = 0xFFFF

// Message is the body of a message frame. Token is 0 where nobody waits for a
// result. FromProcess is written by the manager; what a plugin puts there is
// overwritten. Entity is the name of a group and empty otherwise. ID is the JSON
// of the message's id, empty without. Value is the payload in Format and is never
// looked into on the way.
type Message struct {
	Token       uint64
	FromProcess uint16
	Flags       uint8
	Kind        Kind
	EntityID    int64
	Process     uint16
	FromKind    Kind
	FromID      int64
	Format      shared.FormatID
	Entity      []byte
	ID          []byte
	Value       []byte
}

// Offsets of the fields that the manager rewrites in a frame that it forwards.
const (
	offToken       = HeaderSize
	offFromProcess = offToken + 8
	// MessageOverhead is the size of a message frame with no name, id and value.
	MessageOverhead = HeaderSize + 8 + 2 + 1 + 1 + 8 + 2 + 1 + 8 + 1 + 1 + 2
)

// FrameSize is the size of m as a frame.
func (m *Message) FrameSize() int {
	return MessageOverhead + len(m.Entity) + len(m.ID) + len(m.Value)
}

// AppendMessage appends m as a frame. Entity must be at most 255 bytes and ID at
// most 65535; the callers have checked that.
func AppendMessage(dst []byte, m *Message) []byte {
	at, size := len(dst), m.FrameSize()
	dst = slices.Grow(dst, size)[:at+size]
	frame := dst[at:]
	binary.BigEndian.PutUint32(frame, uint32(size-4))
	frame[4] = byte(TypeMessage)
	b := frame[HeaderSize : HeaderSize+headSize : HeaderSize+headSize]
	binary.BigEndian.PutUint64(b[0:], m.Token)
	binary.BigEndian.PutUint16(b[8:], m.FromProcess)
	b[10] = m.Flags
	b[11] = byte(m.Kind)
	binary.BigEndian.PutUint64(b[12:], uint64(m.EntityID))
	binary.BigEndian.PutUint16(b[20:], m.Process)
	b[22] = byte(m.FromKind)
	binary.BigEndian.PutUint64(b[23:], uint64(m.FromID))
	b[31] = byte(m.Format)
	b[32] = byte(len(m.Entity))
	rest := frame[HeaderSize+headSize:]
	rest = rest[copy(rest, m.Entity):]
	binary.BigEndian.PutUint16(rest, uint16(len(m.ID)))
	rest = rest[2:]
	rest = rest[copy(rest, m.ID):]
	copy(rest, m.Value)
	return dst
}

// Silent is 1 if nobody waits for a result of m, else 0.
func (m *Message) Silent() int {
	if m.Token == 0 {
		return 1
	}
	return 0
}

// headSize is the size of the fields of fixed width before the name of the group.
const headSize = MessageOverhead - HeaderSize - 2

// Parse reads the body of a message frame; the slices of m alias it. Every message
// passes here once on each side of each link, so the fields of fixed width are read
// with one check of their length.
func (m *Message) Parse(body []byte) error {
	if len(body) < headSize {
		return fmt.Errorf("%w: message is cut short", ErrFrame)
	}
	b := body[:headSize:headSize]
	m.Token = binary.BigEndian.Uint64(b[0:])
	m.FromProcess = binary.BigEndian.Uint16(b[8:])
	m.Flags = b[10]
	m.Kind = Kind(b[11])
	m.EntityID = int64(binary.BigEndian.Uint64(b[12:]))
	m.Process = binary.BigEndian.Uint16(b[20:])
	m.FromKind = Kind(b[22])
	m.FromID = int64(binary.BigEndian.Uint64(b[23:]))
	m.Format = shared.FormatID(b[31])
	c := cursor{b: body[headSize:]}
	m.Entity = c.take(int(b[32]))
	m.ID = c.take(int(c.u16()))
	m.Value = c.b
	switch {
	case c.bad:
		return fmt.Errorf("%w: message is cut short", ErrFrame)
	case m.Kind < KindClient || m.Kind > KindGroup:
		return fmt.Errorf("%w: message to entity kind %d", ErrFrame, m.Kind)
	case (m.Kind == KindGroup) != (len(m.Entity) > 0):
		return fmt.Errorf("%w: message to entity kind %d with a name of %d bytes", ErrFrame, m.Kind, len(m.Entity))
	case m.FromKind != KindClient && m.FromKind != KindService:
		return fmt.Errorf("%w: message from entity kind %d", ErrFrame, m.FromKind)
	case len(m.Value) > shared.MaxMessageBytes:
		return fmt.Errorf("%w: message value of %d bytes", ErrFrame, len(m.Value))
	}
	return nil
}

// Readdress rewrites, in a copy of a message frame, what the manager decides:
// the token that the destination answers with and the process it came from.
func Readdress(frame []byte, token uint64, fromProcess uint16) {
	binary.BigEndian.PutUint64(frame[offToken:], token)
	binary.BigEndian.PutUint16(frame[offFromProcess:], fromProcess)
}
