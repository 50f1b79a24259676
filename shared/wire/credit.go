package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/antano/antano/shared"
)

// Lane is a destination as the source sees it, the unit of the byte window: the
// process that assigned a client's id, or a service. Groups have no lane: a copy
// of a group message never waits.
type Lane struct {
	Kind Kind
	ID   int64
}

// LaneOf returns the lane of a direct message, and false for a group message.
func LaneOf(kind Kind, entityID int64) (Lane, bool) {
	switch kind {
	case KindClient:
		return Lane{KindClient, int64(shared.ClientID(entityID).Process())}, true
	case KindService:
		return Lane{KindService, entityID}, true
	}
	return Lane{}, false
}

// Credit gives bytes of a lane's window back to the source.
type Credit struct {
	Lane  Lane
	Bytes uint32
}

// AppendCredit appends c as a frame.
func AppendCredit(dst []byte, c *Credit) []byte {
	dst, at := begin(dst, TypeCredit)
	dst = append(dst, byte(c.Lane.Kind))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Lane.ID))
	dst = binary.BigEndian.AppendUint32(dst, c.Bytes)
	return end(dst, at)
}

// Parse reads the body of a credit.
func (cr *Credit) Parse(body []byte) error {
	c := cursor{b: body}
	cr.Lane = Lane{Kind(c.u8()), int64(c.u64())}
	cr.Bytes = c.u32()
	if !c.bad && cr.Lane.Kind != KindClient && cr.Lane.Kind != KindService {
		return fmt.Errorf("%w: credit for entity kind %d", ErrFrame, cr.Lane.Kind)
	}
	return c.done("credit")
}
