package peer

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// take handles one frame of a process.
func (m *Manager) take(l *link, f wire.Frame) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch f.Type {
	case wire.TypeMessage:
		return m.message(l, f)
	case wire.TypeResult:
		return m.result(l, f.Body)
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		return m.subscribe(l, f)
	case wire.TypePause, wire.TypeResume:
		return m.pause(l, f)
	case wire.TypeMoreSequences:
		s := m.grantLocked()
		l.control(func(dst []byte) []byte { return wire.AppendSequences(dst, s) })
		return nil
	case wire.TypePauseSender, wire.TypeResumeSender:
		var p wire.SenderPause
		err := p.Parse(f.Body)
		if to := m.host(p.Client); to != nil {
			to.control(func(dst []byte) []byte { return wire.AppendSenderPause(dst, f.Type, &p) })
		}
		return err
	case wire.TypeMoveReady, wire.TypeMoveAbort:
		id, err := wire.ParseU64(f.Body)
		if f.Type == wire.TypeMoveReady {
			l.ready <- id
		} else {
			l.aborted <- id
		}
		return err
	case wire.TypeHealthOK:
		var h wire.HealthOK
		if err := h.Parse(f.Body); err != nil {
			return err
		}
		l.health <- string(h.Failing)
		return nil
	case wire.TypeHeld:
		v, err := wire.ParseHold(f.Body)
		l.held <- v
		return err
	case wire.TypeRange, wire.TypeRejoined:
		return nil
	case wire.TypeSource:
		var s wire.Source
		return s.Parse(f.Body)
	case wire.TypeSourceGone:
		_, err := wire.ParseU64(f.Body)
		return err
	case wire.TypeMember, wire.TypeNoMember:
		var v wire.Member
		return v.Parse(f.Body)
	case wire.TypeMetric:
		var v wire.Metric
		return v.Parse(f.Body)
	case wire.TypeAck:
		var v wire.Ack
		return v.Parse(f.Body)
	case wire.TypeSlotsOK:
		v, err := wire.ParseU64(f.Body)
		l.slots <- v
		return err
	}
	return fmt.Errorf("%w: type %d", wire.ErrFrame, f.Type)
}

func (m *Manager) message(l *link, f wire.Frame) error {
	var msg wire.Message
	if err := msg.Parse(f.Body); err != nil {
		return err
	}
	if lane, ok := wire.LaneOf(msg.Kind, msg.EntityID); ok {
		c := wire.Credit{Lane: lane, Bytes: uint32(len(f.Raw))}
		l.control(func(dst []byte) []byte { return wire.AppendCredit(dst, &c) })
	}
	to, code := m.destinations(&msg)
	if code != shared.CodeNone {
		if msg.Token != 0 {
			r := wire.Result{Token: msg.Token}
			r.Fail(code, 1)
			l.control(func(dst []byte) []byte { return wire.AppendResult(dst, &r) })
		}
		return nil
	}
	var token uint64
	if msg.Token != 0 {
		m.token++
		token = m.token
		m.open[token] = &open{source: l, token: msg.Token, kind: msg.Kind, at: slices.Clone(to)}
	}
	raw := bytes.Clone(f.Raw)
	wire.Readdress(raw, token, l.process)
	for _, d := range to {
		d.control(func(dst []byte) []byte { return append(dst, raw...) })
	}
	return nil
}

// destinations are the links that get a message: all of one service.
func (m *Manager) destinations(msg *wire.Message) (to []*link, code shared.Code) {
	switch msg.Kind {
	case wire.KindClient:
		if l := m.host(shared.ClientID(msg.EntityID)); l != nil {
			return []*link{l}, shared.CodeNone
		}
	case wire.KindService:
		processes := m.services[msg.EntityID]
		if len(processes) == 0 {
			return nil, shared.CodeNoSuchEntity
		}
		for i := range processes { // rendezvous is for the real one
			p := processes[(i+int(msg.FromID))%len(processes)]
			if l := m.links[p]; l != nil && (msg.Process == wire.AnyProcess || msg.Process == p) {
				return []*link{l}, shared.CodeNone
			}
		}
		return nil, shared.CodeNoSuchProcess
	default:
		for l := range m.groups[fmt.Sprintf("%s/%d", msg.Entity, msg.EntityID)] {
			if msg.Process == wire.AnyProcess || msg.Process == l.process {
				to = append(to, l)
			}
		}
	}
	if len(to) == 0 {
		return nil, shared.CodeNoSuchEntity
	}
	return to, shared.CodeNone
}

func (m *Manager) result(l *link, body []byte) error {
	var r wire.Result
	if err := r.Parse(body); err != nil {
		return err
	}
	if m.open[r.Token] == nil {
		return fmt.Errorf("%w: result for token %d, which is not open", wire.ErrFrame, r.Token)
	}
	m.settle(r.Token, l, &r)
	return nil
}

// settle adds what a process answers for a message, or what is answered for it, and
// tells the source when all have. The lock is held.
func (m *Manager) settle(token uint64, l *link, r *wire.Result) {
	o := m.open[token]
	o.sum.Add(r)
	o.at = slices.DeleteFunc(o.at, func(at *link) bool { return at == l })
	if len(o.at) == 0 {
		delete(m.open, token)
		o.sum.Token = o.token
		o.source.control(func(dst []byte) []byte { return wire.AppendResult(dst, &o.sum) })
	}
}

func (m *Manager) subscribe(l *link, f wire.Frame) error {
	var g wire.Group
	if err := g.Parse(f.Body); err != nil {
		return err
	}
	key := fmt.Sprintf("%s/%d", g.Entity, g.ID)
	if f.Type == wire.TypeSubscribe {
		if m.groups[key] == nil {
			m.groups[key] = map[*link]bool{}
		}
		m.groups[key][l] = true
	} else {
		delete(m.groups[key], l)
	}
	if g.Token != 0 {
		r := wire.Result{Token: g.Token, Delivered: 1}
		l.control(func(dst []byte) []byte { return wire.AppendResult(dst, &r) })
	}
	return nil
}

func (m *Manager) pause(l *link, f wire.Frame) error {
	var p wire.Pause
	if err := p.Parse(f.Body); err != nil {
		return err
	}
	told := p.Process
	p.Process = l.process
	for to := range m.all {
		if to.process == told {
			to.control(func(dst []byte) []byte { return wire.AppendPause(dst, f.Type, &p) })
		}
	}
	return nil
}

// host is the link of the process that has a client. The lock is held.
func (m *Manager) host(id shared.ClientID) *link {
	if l := m.moved[id]; l != nil {
		return l
	}
	if l := m.hosts[id.Process()]; l != nil {
		return l
	}
	return m.links[id.Process()]
}
