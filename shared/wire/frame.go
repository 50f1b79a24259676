package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/antano/antano/shared"
)

// Type is the kind of a frame, its first byte after the length.
type Type uint8

// The frame types. P is the plugin, M the manager.
const (
	TypeHello         Type = 1  // P→M, first frame
	TypeWelcome       Type = 2  // M→P, its answer
	TypeMessage       Type = 3  // both ways
	TypeResult        Type = 4  // both ways: what became of a message, subscribe or unsubscribe
	TypeSubscribe     Type = 5  // P→M: the first client of the process joined a group
	TypeUnsubscribe   Type = 6  // P→M: the last one left it
	TypeCredit        Type = 7  // M→P: bytes of a lane left the manager's queue
	TypePause         Type = 8  // P→M→P: a client's queue is full
	TypeResume        Type = 9  // P→M→P: it has room again
	TypeHealth        Type = 10 // M→P
	TypeHealthOK      Type = 11 // P→M
	TypeSlots         Type = 12 // M→P: the slots to read from now on
	TypeSlotsOK       Type = 13 // P→M: the slots it reads now
	TypeMoreSequences Type = 14 // P→M: client sequences run out
	TypeSequences     Type = 15 // M→P: a fresh range
	TypeTransfer      Type = 16 // P→M, first frame of a transfer connection
	TypeMoveOut       Type = 17 // M→P: hand clients over
	TypeMoveIn        Type = 18 // M→P: take them
	TypeMoveReady     Type = 19 // P→M: all frames before this one belong to before the cut
	TypeMoveCut       Type = 20 // M→P: from here on they are the other process's
	TypeMoveAbort     Type = 21 // both ways: go on as before
	TypeSource        Type = 22 // P→M: a datagram client that outlives the process
	TypeSourceGone    Type = 23 // P→M
	TypeMember        Type = 24 // both ways: a source is in a group
	TypeNoMember      Type = 25 // P→M
	TypeRestore       Type = 26 // M→P: a source of a process that is gone
	TypePauseSender   Type = 27 // P→M→P: a handler's queue is full
	TypeResumeSender  Type = 28 // P→M→P: it has room again
	TypeRejoin        Type = 29 // P→M, first frame to a successor of the manager
	TypeRange         Type = 30 // P→M, after rejoin: client sequences that the process holds
	TypeRejoined      Type = 31 // P→M: that was all
	TypeHold          Type = 32 // M→P: stop sending
	TypeHeld          Type = 33 // P→M: it has
	TypeGiveSockets   Type = 34 // M→P: hand the listening sockets to the manager
	TypeAck           Type = 35 // both ways: message frames read so far
	TypeSenders       Type = 36 // P→M, after rejoin: whose messages its handler handles
	TypeMetric        Type = 37 // P→M: a number of the author's own
)

var typeNames = [...]string{
	TypeHello: "hello", TypeWelcome: "welcome", TypeMessage: "message", TypeResult: "result",
	TypeSubscribe: "subscribe", TypeUnsubscribe: "unsubscribe", TypeCredit: "credit", TypePause: "pause",
	TypeResume: "resume", TypeHealth: "health", TypeHealthOK: "health ok", TypeSlots: "slots",
	TypeSlotsOK: "slots ok", TypeMoreSequences: "more sequences", TypeSequences: "sequences",
	TypeTransfer: "transfer", TypeMoveOut: "move out", TypeMoveIn: "move in", TypeMoveReady: "move ready",
	TypeMoveCut: "move cut", TypeMoveAbort: "move abort", TypeSource: "source", TypeSourceGone: "source gone",
	TypeMember: "member", TypeNoMember: "no member", TypeRestore: "restore", TypePauseSender: "pause sender",
	TypeResumeSender: "resume sender", TypeRejoin: "rejoin", TypeRange: "range", TypeRejoined: "rejoined",
	TypeHold: "hold", TypeHeld: "held", TypeGiveSockets: "give sockets", TypeAck: "ack",
	TypeSenders: "senders", TypeMetric: "metric",
}

// String returns the name that docs/protocol.md has for t.
func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Optional reports whether who does not know t ignores a frame of it: what later versions
// add for information. Any other type that is not known ends the link. Source:
// docs/protocol.md "Versions".
func (t Type) Optional() bool { return t >= firstOptional }

const firstOptional Type = 128

// HeaderSize is the length prefix and the type byte.
const HeaderSize = 5

// MaxFrame bounds the length field: the largest message and room for its header.
const MaxFrame = shared.MaxMessageBytes + 64<<10

// ErrFrame is wrapped by every error of the codec: the peer does not speak the
// protocol, and the link is closed.
var ErrFrame = errors.New("bad relay frame")

// Frame is one parsed frame. Raw is the whole frame with its prefix, Body what
// follows the type; both alias the reader's buffer.
type Frame struct {
	Type Type
	Body []byte
	Raw  []byte
}

// Next cuts the first frame off buf. A frame that is not complete yet gives n 0
// and need, how many bytes it wants in all (0: not even the length is there).
func Next(buf []byte) (f Frame, n, need int, err error) {
	if len(buf) < 4 {
		return Frame{}, 0, 0, nil
	}
	size := int(binary.BigEndian.Uint32(buf))
	if size < 1 || size > MaxFrame {
		return Frame{}, 0, 0, fmt.Errorf("%w: length %d is not within 1 to %d", ErrFrame, size, MaxFrame)
	}
	if len(buf) < 4+size {
		return Frame{}, 0, 4 + size, nil
	}
	raw := buf[: 4+size : 4+size]
	return Frame{Type: Type(raw[4]), Body: raw[5:], Raw: raw}, 4 + size, 0, nil
}

// begin appends an empty header; end fills in the length of what followed.
func begin(dst []byte, t Type) ([]byte, int) {
	return append(dst, 0, 0, 0, 0, byte(t)), len(dst)
}

func end(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// cursor reads fixed-width fields and remembers whether the body was long enough.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if len(c.b) < n {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() uint8 {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if v := c.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if v := c.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// done reports a body that was too short or, where nothing may follow, too long.
func (c *cursor) done(what string) error {
	if c.bad {
		return fmt.Errorf("%w: %s is cut short", ErrFrame, what)
	}
	if len(c.b) != 0 {
		return fmt.Errorf("%w: %s has %d bytes too many", ErrFrame, what, len(c.b))
	}
	return nil
}
