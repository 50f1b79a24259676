package transfer

import (
	"encoding/binary"
	"fmt"
)

// cursor reads the fields of a body; bad is set when it ends too early.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() uint8 {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (c *cursor) err(what string) error {
	if c.bad {
		return fmt.Errorf("%w: %s", ErrRecord, what)
	}
	return nil
}

// done is err of a body that has no more fields.
func (c *cursor) done(what string) error {
	c.bad = c.bad || len(c.b) > 0
	return c.err(what)
}
