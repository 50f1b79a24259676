package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxSenders is how many senders one frame names.
const MaxSenders = 4096

// Senders are those of one kind whose messages the handler of a process handles.
type Senders struct {
	Kind Kind // client or service
	list []byte
}

// AppendSenders appends a frame that names senders, 1 to MaxSenders.
func AppendSenders(dst []byte, kind Kind, ids []int64) []byte {
	dst, at := begin(dst, TypeSenders)
	dst = append(dst, byte(kind))
	for _, id := range ids {
		dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	}
	return end(dst, at)
}

// Parse reads the body of senders; s aliases it.
func (s *Senders) Parse(body []byte) error {
	c := cursor{b: body}
	s.Kind = Kind(c.u8())
	s.list = c.b
	switch n := len(s.list); {
	case s.Kind != KindClient && s.Kind != KindService:
		return fmt.Errorf("%w: senders of kind %d", ErrFrame, s.Kind)
	case n == 0 || n%8 != 0 || n/8 > MaxSenders:
		return fmt.Errorf("%w: senders in %d bytes", ErrFrame, n)
	}
	return nil
}

// All yields the ids.
func (s *Senders) All(yield func(id int64) bool) {
	for b := s.list; len(b) >= 8; b = b[8:] {
		if !yield(int64(binary.BigEndian.Uint64(b))) {
			return
		}
	}
}
