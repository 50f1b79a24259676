package relay

import (
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// multicast routes a message to every process that has members of a group. Copies
// never wait and have no lane.
func (l *Link) multicast(m *wire.Message, raw []byte) {
	links, code := l.audience(m)
	if code != shared.CodeNone {
		l.refuse(m, code)
		return
	}
	e := entry{born: l.r.tick.Load(), multi: true}
	if m.Token != 0 {
		e.src, e.token = l, m.Token
		if len(links) > 1 {
			e.all = newAggregate(l, m.Token, len(links))
		}
	}
	charge := wire.Charge{Account: &l.lanes.groups, Silent: m.Silent()}
	for _, to := range links {
		code, answered := l.put(to, e, charge, raw)
		if code != shared.CodeNone && !answered {
			l.missed(&e, code)
		}
	}
}

// missed accounts for a copy that was not queued. A process that is gone had no
// members left: that is no failure.
func (l *Link) missed(e *entry, code shared.Code) {
	switch {
	case e.token != 0 && code == shared.CodeProcessLost:
		e.answer(&wire.Result{}, &l.reader.out)
	case e.token != 0:
		e.fail(code, &l.reader.out)
	case code != shared.CodeProcessLost:
		l.counters.from[code].Add(1)
	}
}

// audience finds the processes of a group message.
func (l *Link) audience(m *wire.Message) ([]*Link, shared.Code) {
	if code := l.may(m); code != shared.CodeNone {
		return nil, code
	}
	links := l.r.groups.get(m.Entity, m.EntityID)
	if m.Process == wire.AnyProcess {
		if len(links) == 0 {
			return nil, shared.CodeNoSuchEntity
		}
		return links, shared.CodeNone
	}
	if links = startsOf(m.Process, links); len(links) > 0 {
		return links, shared.CodeNone
	}
	if m.Process > shared.MaxProcessID || l.r.links[m.Process].Load() == nil {
		return nil, shared.CodeNoSuchProcess
	}
	return nil, shared.CodeNoSuchEntity
}

// startsOf returns the links of a process among those of a group: one, and two while
// it is replaced.
func startsOf(process uint16, links []*Link) []*Link {
	at, n := 0, 0
	for i, l := range links {
		if l.launch.Process == process {
			at = i
			n++
		}
	}
	if n <= 1 {
		return links[at : at+n]
	}
	var all []*Link
	for _, l := range links {
		if l.launch.Process == process {
			all = append(all, l)
		}
	}
	return all
}
