package relay

import (
	"errors"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// direct routes a message to one client or to a service.
func (l *Link) direct(m *wire.Message, raw []byte) {
	dir := l.r.services.Load()
	id, _ := wire.LaneOf(m.Kind, m.EntityID)
	if m.Kind == wire.KindService && dir.services[m.EntityID] == nil {
		// A lane of its own for whatever a client makes up would have no bound.
		l.pay(id, int64(len(raw)))
		code := l.may(m)
		if code == shared.CodeNone {
			code = shared.CodeNoSuchEntity
		}
		l.refuse(m, code)
		return
	}
	ln := l.lane(id)
	room := ln.charge(len(raw))
	code := l.may(m)
	var to *Link
	if code == shared.CodeNone {
		to, code = l.destination(dir, m)
	}
	if code == shared.CodeNone && !room {
		code = shared.CodeOverloaded
	}
	if code == shared.CodeNone {
		code = l.forward(to, m, raw, ln)
	}
	if code != shared.CodeNone {
		ln.credit(len(raw))
		l.refuse(m, code)
	}
}

// may says whether l may send m at all: the sender must be its own.
func (l *Link) may(m *wire.Message) shared.Code {
	if m.FromKind == wire.KindService {
		if m.FromID != l.launch.Service {
			return shared.CodeDenied
		}
	} else if host, _ := l.r.host(m.FromID); host != l {
		return shared.CodeDenied
	}
	if m.Flags&wire.FlagReply == 0 && l.r.closing.Load() {
		return shared.CodeShuttingDown
	}
	return shared.CodeNone
}

// destination finds the link of a direct message.
func (l *Link) destination(dir *directory, m *wire.Message) (*Link, shared.Code) {
	if m.Kind == wire.KindClient {
		to, orphan := l.r.host(m.EntityID)
		switch {
		case orphan:
			return nil, shared.CodeNoSuchProcess
		case to == nil, m.Process != wire.AnyProcess && m.Process != to.launch.Process:
			return nil, shared.CodeNoSuchEntity
		}
		return to, shared.CodeNone
	}
	s := dir.services[m.EntityID]
	var to *Link
	if m.Process != wire.AnyProcess {
		to = s.named(m.Process)
	} else if key := seatKey(m.FromKind, m.FromID); s.seats != nil {
		to = s.seat(key, l.r.tick.Load())
	} else {
		to = s.pick(key)
	}
	if to == nil {
		return nil, shared.CodeNoSuchProcess
	}
	return to, shared.CodeNone
}

// forward queues a direct message.
func (l *Link) forward(to *Link, m *wire.Message, raw []byte, ln *lane) shared.Code {
	e := entry{src: l, token: m.Token, born: l.r.tick.Load()}
	charge := wire.Charge{Account: ln, Bytes: len(raw), Silent: m.Silent()}
	code, answered := l.put(to, e, charge, raw)
	if answered {
		// The link went down in between and the sender was told: only the bytes
		// are left to settle.
		ln.credit(len(raw))
		return shared.CodeNone
	}
	if code == shared.CodeProcessLost { // it was not written, so this is certain
		if m.Kind == wire.KindClient {
			return shared.CodeNoSuchEntity
		}
		return shared.CodeNoSuchProcess
	}
	return code
}

// put queues a copy of raw for to and opens e where its sender wants a result.
// When the copy did not fit, answered says that e was closed from elsewhere.
func (l *Link) put(to *Link, e entry, charge wire.Charge, raw []byte) (code shared.Code, answered bool) {
	var token uint64
	if e.token != 0 {
		if token, code = to.pending.add(e); code != shared.CodeNone {
			return code, false
		}
		l.r.rouse()
	}
	l.acks.inside.Add(int64(charge.Silent))
	from := l.launch.Process
	err := to.queue.Put(len(raw), charge, func(dst []byte) []byte {
		at := len(dst)
		dst = append(dst, raw...)
		wire.Readdress(dst[at:], token, from)
		return dst
	})
	if err == nil {
		l.reader.out.mark(to)
		return shared.CodeNone, false
	}
	l.acks.inside.Add(int64(-charge.Silent))
	if token != 0 {
		if _, ok := to.pending.take(token); !ok {
			return shared.CodeNone, true
		}
	}
	if errors.Is(err, wire.ErrFull) {
		to.counters.to[shared.CodeOverloaded].Add(1)
		return shared.CodeOverloaded, false
	}
	return shared.CodeProcessLost, false
}

// refuse tells the sender of m why it was not delivered. Without a token it is
// counted.
func (l *Link) refuse(m *wire.Message, code shared.Code) {
	if m.Token == 0 {
		l.counters.from[code].Add(1)
		return
	}
	res := wire.Result{Token: m.Token}
	res.Fail(code, 1)
	l.reader.out.result(l, &res)
}
