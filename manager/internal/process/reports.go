package process

import (
	"time"

	"github.com/antano/antano/manager/internal/event"
)

type reportKind uint8

const (
	reportLaunched reportKind = iota
	reportReady
	reportLeaving // it is being ended, by us
	reportDrained // it owes nobody anything
	reportEnded   // the last one; after an unplanned end it is still being closed
)

// report is what a generation tells the machine.
type report struct {
	g       *generation
	what    reportKind
	reason  string     // with reportLeaving
	exit    event.Exit // with reportEnded
	handled chan struct{}
}

// tell returns when the machine has handled the report. The machine reads until the
// last generation has reported its end.
func (g *generation) tell(r report) {
	r.g, r.handled = g, make(chan struct{})
	g.p.reports <- r
	<-r.handled
}

func (m *machine) report(r report) {
	g := r.g
	switch r.what {
	case reportLaunched:
		g.ref.PID, g.startedAt = g.inst.PID(), g.inst.StartedAt()
		m.refresh(g)
	case reportReady:
		g.readyAt = time.Now()
		m.isReady(g)
	case reportLeaving:
		if g == m.current {
			m.move(event.Draining, r.reason, nil)
		} else {
			m.aside(g, event.Draining, r.reason, nil)
		}
	case reportDrained:
		g.drained = true
		m.allDrained()
	case reportEnded:
		if m.moving != nil {
			m.late = append(m.late, r)
			return
		}
		m.hasEnded(g, r.exit)
	}
}

func (m *machine) refresh(g *generation) {
	if g == m.current {
		m.p.set(func(s *Status) { s.Ref.PID, s.StartedAt = g.ref.PID, g.startedAt })
	} else {
		m.list()
	}
}

// allDrained says that the process owes nothing once no generation does.
func (m *machine) allDrained() {
	if !m.over {
		return
	}
	for _, g := range m.living() {
		if !g.drained {
			return
		}
	}
	m.p.owesNothing()
}

// isReady is told once of every generation that became ready.
func (m *machine) isReady(g *generation) {
	if g == m.current {
		m.adopt(g)
		m.move(event.Ready, "", nil)
		if m.order != nil && m.order.g == g {
			m.set = g.set
			m.answer(nil)
		}
		return
	}
	m.aside(g, event.Ready, "", nil)
	if m.current.state == event.Ready && m.order != nil {
		m.handOver()
	}
}

// hasEnded is told once of every generation, at its end.
func (m *machine) hasEnded(g *generation, exit event.Exit) {
	end := &ended{exit, g.ref}
	g.ref.PID = 0
	switch g {
	case m.outgoing:
		m.outgoing = nil
		m.aside(g, event.Stopped, "replaced", end)
		if o := m.order; o != nil && o.verb == verbReplace && o.g == nil && !m.over && !m.held {
			m.replace(o)
		}
	case m.successor:
		m.successor = nil
		m.aside(g, event.Stopped, "it does not take over", end)
		m.noSuccessor(g, exit)
	case m.current:
		m.current = nil
		m.p.set(func(s *Status) { s.Ref.PID = 0 })
		m.currentEnded(g, end)
	}
	m.stopped()
	m.allDrained()
}

// noSuccessor ends a replacement whose new generation is gone.
func (m *machine) noSuccessor(g *generation, exit event.Exit) {
	if m.order == nil || m.order.g != g {
		return
	}
	if m.order.cause != nil {
		m.answer(m.order.cause)
		return
	}
	m.answer(&NotReadyError{Ref: g.ref, Exit: exit})
}

// stopped ends a Stop.
func (m *machine) stopped() {
	if m.order != nil && m.order.verb == verbStop && len(m.living()) == 0 {
		m.answer(nil)
	}
}

// currentEnded decides what follows the end of the current generation.
func (m *machine) currentEnded(g *generation, end *ended) {
	o := m.order
	switch {
	case m.over, m.held:
		m.move(event.Stopped, "stopped as asked", end)
	case m.successor != nil && !m.successor.replaced:
		m.inherit(g, end)
	case o != nil && o.g == nil: // it ended to be started anew, or while that was asked
		m.reason = "as asked"
		m.begin(o.set, end)
	case g.replaced: // and whoever asked for that gave up
		m.reason = "as asked"
		m.begin(m.set, end)
	default:
		m.restart(g, end)
	}
}

// inherit makes the successor the current generation, since the old one is gone.
func (m *machine) inherit(old *generation, end *ended) {
	m.restarts++
	m.current, m.successor = m.successor, nil
	was := m.current.state
	m.adopt(m.current)
	m.list()
	m.move(event.Starting, "its successor takes its place", end)
	if was == event.Ready {
		m.isReady(m.current)
	}
}

// restart asks the policy after an unplanned exit.
func (m *machine) restart(g *generation, end *ended) {
	d := m.set.Policy.Exit(time.Now(), UnplannedExit{
		WasReady: !g.readyAt.IsZero(), ReadyFor: g.readyFor, Config: isConfig(end.exit),
	})
	failed := m.order != nil && m.order.g == g
	m.restarts, m.reason = m.restarts+1, d.Reason
	if d.Next == event.Starting {
		m.begin(m.set, end)
	} else {
		m.pause(d, end)
	}
	if failed {
		m.answer(&NotReadyError{Ref: g.ref, Exit: end.exit})
	}
}

// pause waits for the next try, if there is one.
func (m *machine) pause(d Decision, end *ended) {
	var next time.Time
	if d.After > 0 || d.Next == event.Backoff {
		next = time.Now().Add(d.After)
		m.timer = time.NewTimer(d.After)
	}
	m.moveUntil(d.Next, d.Reason, end, next)
}
