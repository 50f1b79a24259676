package wire

import (
	"encoding/binary"
	"fmt"
)

// AppendHealth appends the manager's question.
func AppendHealth(dst []byte, nonce uint64) []byte { return appendU64(dst, TypeHealth, nonce) }

// AppendSlots appends the set of slots as a frame of type TypeSlots or TypeSlotsOK:
// bit n is slot n.
func AppendSlots(dst []byte, t Type, slots uint64) []byte { return appendU64(dst, t, slots) }

func appendU64(dst []byte, t Type, v uint64) []byte {
	dst, at := begin(dst, t)
	return end(binary.BigEndian.AppendUint64(dst, v), at)
}

// ParseU64 reads the body of health, slots, slots ok, source gone, and of the frames
// of AppendMove.
func ParseU64(body []byte) (uint64, error) {
	c := cursor{b: body}
	v := c.u64()
	return v, c.done("number")
}

// HealthOK is the plugin's answer. Failing is empty when all is well, otherwise a
// sentence that names the loop or the handler call that has not come round.
type HealthOK struct {
	Nonce   uint64
	Failing []byte
}

// AppendHealthOK appends h as a frame. Failing is cut at 1 KiB.
func AppendHealthOK(dst []byte, h *HealthOK) []byte {
	dst, at := begin(dst, TypeHealthOK)
	dst = binary.BigEndian.AppendUint64(dst, h.Nonce)
	dst = append(dst, h.Failing[:min(len(h.Failing), 1024)]...)
	return end(dst, at)
}

// Parse reads the body of a health answer; Failing aliases it.
func (h *HealthOK) Parse(body []byte) error {
	c := cursor{b: body}
	h.Nonce = c.u64()
	h.Failing, c.b = c.b, nil
	if len(h.Failing) > 1024 {
		return fmt.Errorf("%w: health answer of %d bytes", ErrFrame, len(h.Failing))
	}
	return c.done("health answer")
}
