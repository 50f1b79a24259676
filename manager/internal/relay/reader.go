package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// reader is what the reading goroutine of a link keeps for itself.
type reader struct {
	out    outbox
	inside bool // holds the gate
	frames uint64
	bytes  uint64
	read   wire.Ack // messages
	pauses budget
	ranges budget
}

// What a link may ask for in one second.
const (
	pausesASecond = 10_000 // what is over is ignored: pauses expire by themselves
	rangesASecond = 64     // 262 144 new clients; what is over breaks the protocol
)

// read routes what the process sends until the link ends, and says why it did.
func (l *Link) read(ctx context.Context) error {
	in := wire.NewReader(l.conn)
	if l.launch.Adopted {
		if err := l.replay(in); err != nil {
			return err
		}
	}
	l.r.awaitOpen(ctx)
	for {
		f, err := in.Next()
		if err != nil {
			return err
		}
		l.reader.frames++
		l.reader.bytes += uint64(len(f.Raw))
		l.enter()
		if err := l.frame(f); err != nil {
			l.exit()
			return err
		}
		if in.Dry() || l.reader.out.full() {
			l.exit()
			l.publish()
			l.reader.out.flush()
			l.acknowledgeSoon()
		}
	}
}

func (l *Link) frame(f wire.Frame) error {
	switch f.Type {
	case wire.TypeMessage:
		return l.message(f)
	case wire.TypeResult:
		return l.result(f.Body)
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		return l.group(f)
	case wire.TypePause, wire.TypeResume:
		return l.pause(f)
	case wire.TypePauseSender, wire.TypeResumeSender:
		return l.pauseSender(f)
	case wire.TypeHealthOK:
		return l.healthOK(f.Body)
	case wire.TypeSlotsOK:
		return l.slotsOK(f.Body)
	case wire.TypeSource:
		return l.source(f.Body)
	case wire.TypeSourceGone:
		return l.sourceGone(f.Body)
	case wire.TypeMember, wire.TypeNoMember:
		return l.member(f)
	case wire.TypeMoreSequences:
		return l.moreSequences(f.Body)
	case wire.TypeAck:
		return l.acked(f.Body)
	case wire.TypeMoveReady:
		return l.moveReady(f.Body)
	case wire.TypeMoveAbort:
		return l.moveAbort(f.Body)
	case wire.TypeHeld:
		return l.heldBack(f.Body)
	case wire.TypeRange, wire.TypeRejoined, wire.TypeSenders:
		return l.repeated(f)
	case wire.TypeMetric:
		return l.metric(f.Body)
	case wire.TypeHello:
		return fmt.Errorf("%w: a second hello", wire.ErrFrame)
	}
	if f.Type.Optional() {
		return nil
	}
	return fmt.Errorf("%w: frame %s (%d) is not for a process to send", wire.ErrFrame, f.Type, uint8(f.Type))
}

func (l *Link) message(f wire.Frame) error {
	var m wire.Message
	if err := m.Parse(f.Body); err != nil {
		return err
	}
	l.reader.count(&m)
	if m.Kind == wire.KindGroup {
		l.multicast(&m, f.Raw)
	} else {
		l.direct(&m, f.Raw)
	}
	return nil
}

func (l *Link) result(body []byte) error {
	var res wire.Result
	if err := res.Parse(body); err != nil {
		return err
	}
	e, ok := l.pending.take(res.Token)
	if !ok {
		if strays := l.counters.strays.Add(1); l.pending.stray(strays) {
			return fmt.Errorf("%w: %d results that nobody waits for", wire.ErrFrame, strays)
		}
		return nil
	}
	if !e.multi && copies(&res) != 1 {
		e.fail(shared.CodeProcessLost, &l.reader.out)
		return fmt.Errorf("%w: result of %d copies for a message to one", wire.ErrFrame, copies(&res))
	}
	e.answer(&res, &l.reader.out)
	return nil
}

func copies(res *wire.Result) uint64 {
	n := uint64(res.Delivered)
	for _, f := range res.Failures() {
		n += uint64(f.Count)
	}
	return n
}

func (l *Link) group(f wire.Frame) error {
	var g wire.Group
	if err := g.Parse(f.Body); err != nil {
		return err
	}
	res := wire.Result{Token: g.Token, Delivered: 1}
	if f.Type == wire.TypeUnsubscribe {
		l.r.groups.remove(l, g.Entity, g.ID)
	} else if !l.r.groups.add(l, g.Entity, g.ID) {
		res.Delivered = 0
		res.Fail(shared.CodeOverloaded, 1)
	}
	if g.Token != 0 {
		l.reader.out.result(l, &res)
	}
	return nil
}

func (l *Link) moreSequences(body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("%w: more sequences has %d bytes too many", wire.ErrFrame, len(body))
	}
	if !l.reader.ranges.take(rangesASecond) {
		return fmt.Errorf("%w: more than %d ranges of client sequences asked for in a second", wire.ErrFrame, rangesASecond)
	}
	l.r.mu.Lock()
	s := l.r.grant(l)
	l.r.mu.Unlock()
	if l.control(func(dst []byte) []byte { return wire.AppendSequences(dst, s) }) {
		l.reader.out.mark(l)
	}
	return nil
}

// budget allows so many of something in a second.
type budget struct {
	second int64
	used   int
}

func (b *budget) take(most int) bool {
	if now := time.Now().Unix(); now != b.second {
		b.second, b.used = now, 0
	}
	b.used++
	return b.used <= most
}
