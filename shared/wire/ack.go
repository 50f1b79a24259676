package wire

import "encoding/binary"

// Ack says how many message frames were read from a link so far, and how many of
// them had no token: if the reader is lost, the writer counts the rest.
type Ack struct{ Messages, Silent uint64 }

// AppendAck appends a as a frame.
func AppendAck(dst []byte, a *Ack) []byte {
	dst, at := begin(dst, TypeAck)
	dst = binary.BigEndian.AppendUint64(dst, a.Messages)
	dst = binary.BigEndian.AppendUint64(dst, a.Silent)
	return end(dst, at)
}

// Parse reads the body of an ack.
func (a *Ack) Parse(body []byte) error {
	c := cursor{b: body}
	a.Messages, a.Silent = c.u64(), c.u64()
	return c.done("ack")
}
