package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/antano/antano/shared"
)

// MaxState bounds the state that the manager keeps for a datagram client.
const MaxState = 1024

// MaxSlots is how many slots a datagram service has at most.
const MaxSlots = 64

// Source is a datagram client that the manager keeps over a crash of its process:
// the slot that its datagrams come in on, and what the process makes it from again.
type Source struct {
	Client shared.ClientID
	Slot   uint8
	State  []byte
}

// AppendSource appends s as a frame of type TypeSource or TypeRestore. State must
// be at most MaxState bytes.
func AppendSource(dst []byte, t Type, s *Source) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Client))
	dst = append(dst, s.Slot)
	dst = append(dst, s.State...)
	return end(dst, at)
}

// Parse reads the body of source or restore; State aliases it.
func (s *Source) Parse(body []byte) error {
	c := cursor{b: body}
	s.Client, s.Slot = shared.ClientID(c.u64()), c.u8()
	s.State, c.b = c.b, nil
	switch {
	case s.Slot >= MaxSlots:
		return fmt.Errorf("%w: source on slot %d of %d", ErrFrame, s.Slot, MaxSlots)
	case len(s.State) > MaxState:
		return fmt.Errorf("%w: source with a state of %d bytes", ErrFrame, len(s.State))
	}
	return c.done("source")
}

// AppendSourceGone appends the end of a source.
func AppendSourceGone(dst []byte, client shared.ClientID) []byte {
	return appendU64(dst, TypeSourceGone, uint64(client))
}

// Member says that a source is in a group, or no more.
type Member struct {
	Client shared.ClientID
	ID     int64
	Entity []byte
}

// AppendMember appends m as a frame of type TypeMember or TypeNoMember.
func AppendMember(dst []byte, t Type, m *Member) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Client))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.ID))
	dst = append(dst, byte(len(m.Entity)))
	dst = append(dst, m.Entity...)
	return end(dst, at)
}

// Parse reads the body of member or no member; Entity aliases it.
func (m *Member) Parse(body []byte) error {
	c := cursor{b: body}
	m.Client, m.ID = shared.ClientID(c.u64()), int64(c.u64())
	m.Entity = c.take(int(c.u8()))
	if !c.bad && (len(m.Entity) == 0 || KindOf(string(m.Entity)) != KindGroup) {
		return fmt.Errorf("%w: member of %q, which is not a group", ErrFrame, m.Entity)
	}
	return c.done("member")
}
