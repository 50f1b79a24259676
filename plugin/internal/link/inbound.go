package link

import (
	"fmt"

	"github.com/antano/antano/shared/wire"
)

// inbound holds the parsed frame, so that reading allocates nothing.
type inbound struct {
	message wire.Message
	result  wire.Result
	credit  wire.Credit
	pause   wire.Pause
	seq     wire.Sequences
	source  wire.Source
	member  wire.Member
	read    wire.Ack // messages from this manager
}

func (in *inbound) count() {
	in.read.Messages++
	in.read.Silent += uint64(in.message.Silent())
}

// take handles one frame. An error means that the manager does not speak the
// protocol.
func (l *Link) take(r Receiver, in *inbound, f wire.Frame) (err error) {
	switch f.Type {
	case wire.TypeMessage:
		if err = in.message.Parse(f.Body); err == nil {
			in.count()
			r.OnMessage(&in.message)
		}
	case wire.TypeResult:
		if err = in.result.Parse(f.Body); err == nil {
			r.OnResult(&in.result)
		}
	case wire.TypeCredit:
		if err = in.credit.Parse(f.Body); err == nil {
			r.OnCredit(in.credit)
		}
	case wire.TypePause, wire.TypeResume:
		if err = in.pause.Parse(f.Body); err == nil {
			r.OnPause(in.pause, f.Type == wire.TypePause)
		}
	case wire.TypeSequences:
		if err = in.seq.Parse(f.Body); err == nil {
			l.seq.grant(in.seq)
		}
	case wire.TypeHealth:
		err = l.answerHealth(f.Body)
	case wire.TypeSlots:
		err = l.takeSlots(f.Body)
	case wire.TypeRestore:
		if err = in.source.Parse(f.Body); err == nil {
			r.OnRestore(&in.source)
		}
	case wire.TypeMember:
		if err = in.member.Parse(f.Body); err == nil {
			r.OnMember(&in.member)
		}
	case wire.TypePauseSender, wire.TypeResumeSender:
		var p wire.SenderPause
		if err = p.Parse(f.Body); err == nil {
			r.OnPauseSender(p, f.Type == wire.TypePauseSender)
		}
	case wire.TypeMoveOut:
		var m wire.MoveOut
		if err = m.Parse(f.Body); err == nil {
			r.OnMoveOut(m)
		}
	case wire.TypeMoveIn, wire.TypeMoveCut, wire.TypeMoveAbort:
		var move uint64
		if move, err = wire.ParseU64(f.Body); err == nil {
			r.OnMove(f.Type, move)
		}
	case wire.TypeGiveSockets:
		var move uint64
		if move, err = wire.ParseU64(f.Body); err == nil && l.cfg.Give != nil {
			l.cfg.Give(move)
		}
	case wire.TypeAck:
		err = l.acked.Parse(f.Body)
	case wire.TypeHold:
		err = l.takeHold(f.Body)
	default:
		if f.Type.Optional() {
			return nil
		}
		err = fmt.Errorf("%w: type %d is not one that the manager sends", wire.ErrFrame, f.Type)
	}
	return err
}

func (l *Link) answerHealth(body []byte) error {
	nonce, err := wire.ParseU64(body)
	if err != nil {
		return err
	}
	answer := wire.HealthOK{Nonce: nonce, Failing: []byte(l.health())}
	return l.Control(func(dst []byte) []byte { return wire.AppendHealthOK(dst, &answer) })
}

func (l *Link) health() string {
	if failing := l.slots.failing(); failing != "" {
		return failing
	}
	if l.cfg.Health == nil {
		return ""
	}
	return l.cfg.Health()
}
