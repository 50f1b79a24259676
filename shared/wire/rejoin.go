package wire

import (
	"encoding/binary"
	"fmt"
)

// AppendRejoin appends h as the first frame to a successor of the manager. The
// body is that of a hello.
func AppendRejoin(dst []byte, h *Hello) []byte {
	dst, at := begin(dst, TypeRejoin)
	return end(h.append(dst), at)
}

// Range is a range of client sequences that a process holds: ids that process
// Process had assigned.
type Range struct {
	Process uint16
	Sequences
}

// AppendRange appends r as a frame.
func AppendRange(dst []byte, r *Range) []byte {
	dst, at := begin(dst, TypeRange)
	dst = binary.BigEndian.AppendUint16(dst, r.Process)
	dst = binary.BigEndian.AppendUint32(dst, r.First)
	dst = binary.BigEndian.AppendUint32(dst, r.Count)
	return end(dst, at)
}

// Parse reads the body of a range.
func (r *Range) Parse(body []byte) error {
	c := cursor{b: body}
	r.Process, r.First, r.Count = c.u16(), c.u32(), c.u32()
	return c.done("range")
}

// Hold says what a process must not send until it has rejoined a successor, or is told
// otherwise.
type Hold uint8

// The modes of hold and held.
const (
	HoldNothing  Hold = 0 // go on
	HoldMessages Hold = 1 // no messages
	HoldAll      Hold = 2 // nothing more
)

// AppendHold appends mode as a frame of type TypeHold or TypeHeld.
func AppendHold(dst []byte, t Type, mode Hold) []byte {
	dst, at := begin(dst, t)
	return end(append(dst, byte(mode)), at)
}

// ParseHold reads the body of hold or held.
func ParseHold(body []byte) (Hold, error) {
	c := cursor{b: body}
	mode := Hold(c.u8())
	if !c.bad && mode > HoldAll {
		return 0, fmt.Errorf("%w: hold with mode %d", ErrFrame, mode)
	}
	return mode, c.done("hold")
}
