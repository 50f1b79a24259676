package script

import (
	"fmt"

	"github.com/antano/antano/shared/wire"
)

// check says what is wrong with a frame that a plugin sent. Source: docs/protocol.md
// "What closes a link".
func check(f wire.Frame) error {
	var err error
	switch f.Type {
	case wire.TypeMessage:
		err = new(wire.Message).Parse(f.Body)
	case wire.TypeResult:
		err = new(wire.Result).Parse(f.Body)
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		err = new(wire.Group).Parse(f.Body)
	case wire.TypePause, wire.TypeResume:
		err = new(wire.Pause).Parse(f.Body)
	case wire.TypePauseSender, wire.TypeResumeSender:
		err = new(wire.SenderPause).Parse(f.Body)
	case wire.TypeHealthOK:
		err = new(wire.HealthOK).Parse(f.Body)
	case wire.TypeSlotsOK, wire.TypeMoveReady, wire.TypeMoveAbort, wire.TypeSourceGone:
		_, err = wire.ParseU64(f.Body)
	case wire.TypeMoreSequences, wire.TypeRejoined:
		if len(f.Body) != 0 {
			err = fmt.Errorf("%w: %s with a body of %d bytes", wire.ErrFrame, f.Type, len(f.Body))
		}
	case wire.TypeSource:
		err = new(wire.Source).Parse(f.Body)
	case wire.TypeMember, wire.TypeNoMember:
		err = new(wire.Member).Parse(f.Body)
	case wire.TypeRange:
		err = new(wire.Range).Parse(f.Body)
	case wire.TypeHeld:
		_, err = wire.ParseHold(f.Body)
	case wire.TypeAck:
		err = new(wire.Ack).Parse(f.Body)
	case wire.TypeSenders:
		err = new(wire.Senders).Parse(f.Body)
	case wire.TypeMetric:
		err = new(wire.Metric).Parse(f.Body)
	case wire.TypeHello, wire.TypeRejoin:
		err = fmt.Errorf("%w: a second %s on one link", wire.ErrFrame, f.Type)
	default:
		if f.Type.Optional() {
			return nil
		}
		err = fmt.Errorf("%w: %s is not for this direction", wire.ErrFrame, f.Type)
	}
	return err
}
