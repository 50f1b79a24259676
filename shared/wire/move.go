package wire

import (
	"encoding/binary"
	"fmt"
)

// TransferSize is the size of a transfer as a frame.
const TransferSize = HelloSize + 8

// Transfer is the first frame of a transfer connection, proved like a hello.
type Transfer struct {
	Hello
	Move uint64
}

// AppendTransfer appends t as a frame.
func AppendTransfer(dst []byte, t *Transfer) []byte {
	dst, at := begin(dst, TypeTransfer)
	dst = t.append(dst)
	dst = binary.BigEndian.AppendUint64(dst, t.Move)
	return end(dst, at)
}

// Parse reads the body of a transfer.
func (t *Transfer) Parse(body []byte) error {
	c := cursor{b: body}
	t.read(&c)
	t.Move = c.u64()
	return c.done("transfer")
}

// Scope says which clients of a process move.
type Scope uint8

// The scopes of a move.
const (
	ScopeAll   Scope = 1 // every client, and it accepts no new ones
	ScopeSlots Scope = 2 // the datagram clients of some slots
)

// MoveOut asks a process to hand clients over. Slots counts for ScopeSlots: bit n
// is slot n.
type MoveOut struct {
	Move  uint64
	Scope Scope
	Slots uint64
}

// AppendMoveOut appends m as a frame.
func AppendMoveOut(dst []byte, m *MoveOut) []byte {
	dst, at := begin(dst, TypeMoveOut)
	dst = binary.BigEndian.AppendUint64(dst, m.Move)
	dst = append(dst, byte(m.Scope))
	dst = binary.BigEndian.AppendUint64(dst, m.Slots)
	return end(dst, at)
}

// Parse reads the body of move out.
func (m *MoveOut) Parse(body []byte) error {
	c := cursor{b: body}
	m.Move, m.Scope, m.Slots = c.u64(), Scope(c.u8()), c.u64()
	if !c.bad && m.Scope != ScopeAll && m.Scope != ScopeSlots {
		return fmt.Errorf("%w: move out with scope %d", ErrFrame, m.Scope)
	}
	return c.done("move out")
}

// AppendMove appends a frame that is the number of a move alone: TypeMoveIn,
// TypeMoveReady, TypeMoveCut, TypeMoveAbort or TypeGiveSockets. ParseU64 reads it.
func AppendMove(dst []byte, t Type, move uint64) []byte { return appendU64(dst, t, move) }
