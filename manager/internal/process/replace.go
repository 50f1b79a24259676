package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

var (
	// errReplaced is why a generation ends that another takes the place of.
	errReplaced = errors.New("replaced")
	// errDismissed is why a successor ends that does not take over.
	errDismissed = errors.New("it does not take over")
)

// take begins an order.
func (m *machine) take(o *order) {
	switch {
	case m.over:
		o.result <- ErrStopped
	case o.verb == verbSet:
		m.set = o.set
		o.result <- nil
	case o.verb == verbStop:
		m.hold(o)
	case m.order != nil:
		o.result <- ErrBusy
	case o.verb == verbStart:
		m.order = o
		m.start(o)
	case m.held:
		o.result <- ErrStopped
	default:
		m.order = o
		m.replace(o)
	}
}

// hold stops the process until it is started by command.
func (m *machine) hold(o *order) {
	if m.order != nil && m.order.verb == verbStop {
		o.result <- ErrBusy
		return
	}
	m.answer(ErrStopped)
	m.order = o
	m.setHeld(true)
	m.stopAll(nil)
	if m.current == nil && m.p.Status().State != event.Stopped {
		m.move(event.Stopped, "stopped as asked", nil)
	}
	m.p.isSettled()
	m.stopped()
}

func (m *machine) start(o *order) {
	m.setHeld(false)
	switch {
	case m.current == nil:
		m.reason = "started by command"
		m.begin(o.set, nil)
	case m.current.state == event.Ready:
		m.answer(nil)
	case m.current.state == event.Starting:
		o.set, o.g = m.current.set, m.current
	} // draining: its end starts the next one
}

// replace begins, or goes on with, a replacement that has no new generation yet.
func (m *machine) replace(o *order) {
	switch {
	case m.outgoing != nil: // one before is still on its way out
	case m.current == nil:
		m.reason = "as asked"
		m.begin(o.set, nil)
	case m.current.state == event.Ready:
		o.g = m.next(o.set)
		m.successor = o.g
		m.aside(o.g, event.Starting, fmt.Sprintf("to replace generation %d", m.current.ref.Generation), nil)
		m.live(o.g)
	case m.current.state == event.Starting:
		m.current.replaced = true
		m.current.stop(errReplaced)
	} // draining: its end starts the next one
}

// handOver moves the clients to the successor; both are ready.
func (m *machine) handOver() {
	from, to := m.current.inst, m.successor.inst
	ctx, cancel := context.WithCancel(context.Background())
	m.moving, m.stopMove = make(chan error, 1), cancel
	result := m.moving
	m.lives.Go(func() {
		var err error
		if m.p.cfg.Move != nil {
			err = m.p.cfg.Move(ctx, from, to)
		}
		cancel()
		result <- err
	})
}

// moved ends a hand-over and then does what had to wait for it.
func (m *machine) moved(err error) {
	m.moving, m.stopMove = nil, nil
	late := m.late
	m.late = nil
	switch {
	case m.over, m.held: // both end
	case err == nil:
		m.promote()
	case m.successor.gone(), m.current.gone(), m.current.state == event.Draining: // their end says more
	default:
		if m.order.cause == nil {
			m.order.cause = fmt.Errorf("the clients of process %s were not handed over: %w", m.p.cfg.Ref, err)
		}
		m.dismiss()
	}
	for _, r := range late {
		m.hasEnded(r.g, r.exit)
	}
}

// promote makes the successor the current generation and ends the old one.
func (m *machine) promote() {
	old := m.current
	m.current, m.successor, m.outgoing = m.successor, nil, old
	m.set = m.current.set
	m.adopt(m.current)
	m.move(event.Ready, fmt.Sprintf("replaced generation %d", old.ref.Generation), nil)
	m.list()
	old.stop(errReplaced)
	m.answer(nil)
}

// lead goes on with the end of a generation that drains.
func (m *machine) lead(l *Leaving) {
	g := &generation{p: m.p, set: m.set, ref: m.p.cfg.Ref, inst: l.Instance, room: true, startedAt: l.Instance.StartedAt(), since: time.Now()}
	g.ref.Generation, g.ref.PID = l.Generation, l.Instance.PID()
	m.p.rooms <- struct{}{}
	m.outgoing = g
	ctx, stop := context.WithCancelCause(context.Background())
	g.stop = stop
	stop(errReplaced)
	m.lives.Go(func() {
		g.end(ctx, true)
		g.calls.Wait()
		exit := g.exit()
		g.inst.Depart()
		g.close()
		g.tell(report{what: reportEnded, exit: exit})
	})
}

// dismiss ends a successor that does not take over.
func (m *machine) dismiss() {
	m.successor.replaced = true
	m.successor.stop(errDismissed)
}

// givenUp is closed when whoever gave the order does not wait any more.
func (m *machine) givenUp() <-chan struct{} {
	if m.order == nil || m.order.cause != nil {
		return nil
	}
	return m.order.ctx.Done()
}

// giveUp ends a replacement that is no longer wanted; a start or a stop goes on.
func (m *machine) giveUp() {
	err := m.order.ctx.Err()
	if m.order.verb != verbReplace || m.successor == nil {
		m.answer(err)
		return
	}
	m.order.cause = err
	if m.stopMove != nil {
		m.stopMove() // its result ends the successor, unless the cut has been
		return
	}
	m.dismiss()
}
