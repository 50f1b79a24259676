package wire

import (
	"encoding/binary"
	"fmt"
)

// Group is the body of subscribe and unsubscribe. Token 0 wants no result.
type Group struct {
	Token  uint64
	ID     int64
	Entity []byte
}

// AppendGroup appends g as a frame of type TypeSubscribe or TypeUnsubscribe.
func AppendGroup(dst []byte, t Type, g *Group) []byte {
	dst, at := begin(dst, t)
	dst = binary.BigEndian.AppendUint64(dst, g.Token)
	dst = binary.BigEndian.AppendUint64(dst, uint64(g.ID))
	dst = append(dst, byte(len(g.Entity)))
	dst = append(dst, g.Entity...)
	return end(dst, at)
}

// Parse reads the body of subscribe or unsubscribe; Entity aliases it.
func (g *Group) Parse(body []byte) error {
	c := cursor{b: body}
	g.Token, g.ID = c.u64(), int64(c.u64())
	g.Entity = c.take(int(c.u8()))
	if !c.bad && (len(g.Entity) == 0 || KindOf(string(g.Entity)) != KindGroup) {
		return fmt.Errorf("%w: %q is not a group", ErrFrame, g.Entity)
	}
	return c.done("subscribe")
}
