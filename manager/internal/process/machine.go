package process

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// machine is the state machine, in the goroutine of Run. There are never more than
// two generations: the current one and a successor or a predecessor of it.
type machine struct {
	p         *Process
	set       Settings
	current   *generation // nil while none is meant to serve
	successor *generation // of a replacement under way
	outgoing  *generation // was replaced and drains
	order     *order      // under way
	moving    chan error  // the result of a hand-over under way
	stopMove  context.CancelFunc
	late      []report // ends that came during the hand-over
	timer     *time.Timer
	reason    string // of the next start
	last      int    // the last generation there was
	restarts  int
	held      bool // stopped by command
	over      bool // Run is to end
	lives     sync.WaitGroup
}

func (m *machine) run(ctx context.Context) {
	defer m.lives.Wait()
	if m.p.leaving != nil {
		m.lead(m.p.leaving)
	}
	switch {
	case m.held:
		m.p.isSettled()
	case ctx.Err() == nil:
		m.begin(m.set, nil)
	}
	done := ctx.Done()
	for !m.finished() {
		select {
		case <-done:
			done = nil
			m.shutdown()
		case r := <-m.p.reports:
			m.report(r)
			close(r.handled)
		case o := <-m.p.orders:
			m.take(o)
		case m.p.alive <- struct{}{}:
		case err := <-m.moving:
			m.moved(err)
		case <-m.due():
			m.timer = nil
			m.begin(m.set, nil)
		case <-m.givenUp():
			m.giveUp()
		}
	}
	if m.p.Status().State != event.Stopped {
		m.move(event.Stopped, "stopped as asked", nil)
	}
}

func (m *machine) finished() bool { return m.over && len(m.living()) == 0 && m.moving == nil }

func (m *machine) living() (all []*generation) {
	for _, g := range []*generation{m.current, m.successor, m.outgoing} {
		if g != nil {
			all = append(all, g)
		}
	}
	return all
}

func (m *machine) due() <-chan time.Time {
	if m.timer == nil {
		return nil
	}
	return m.timer.C
}

// shutdown begins the end of Run.
func (m *machine) shutdown() {
	m.over = true
	m.answer(ErrStopped)
	m.stopAll(errRunEnds)
}

// stopAll begins the planned end of every generation.
func (m *machine) stopAll(cause error) {
	m.noTimer()
	if m.stopMove != nil {
		m.stopMove()
	}
	for _, g := range m.living() {
		g.stop(cause)
	}
}

func (m *machine) noTimer() {
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
}

// begin starts a generation as the current one. exit is the end that led to it.
func (m *machine) begin(set Settings, exit *ended) {
	m.noTimer()
	g := m.next(set)
	m.current = g
	if m.order != nil && m.order.verb != verbStop && m.order.g == nil {
		m.order.g = g
	}
	m.adopt(g)
	m.move(event.Starting, m.reason, exit)
	m.live(g)
}

// next makes a generation that does not live yet.
func (m *machine) next(set Settings) *generation {
	m.last++
	g := &generation{p: m.p, set: set, ref: m.p.cfg.Ref, startedAt: time.Now()}
	g.ref.Generation, g.ref.PID = m.last, 0
	return g
}

func (m *machine) live(g *generation) {
	ctx, stop := context.WithCancelCause(context.Background())
	g.stop = stop
	m.lives.Go(func() {
		exit := g.run(ctx)
		planned := ctx.Err() != nil
		stop(nil)
		if planned { // what follows is to find nothing of it
			g.close()
		}
		g.tell(report{what: reportEnded, exit: exit})
		if !planned { // its replacement need not wait
			g.close()
		}
	})
}

// adopt has the status be about g.
func (m *machine) adopt(g *generation) {
	m.p.set(func(s *Status) {
		s.Ref, s.StartedAt, s.ReadyAt, s.Restarts = g.ref, g.startedAt, g.readyAt, m.restarts
	})
}

// ended is the end of a generation, as a move tells it.
type ended struct {
	exit event.Exit
	ref  event.Ref
}

// move is the only place where the state of the process changes.
func (m *machine) move(to event.State, reason string, exit *ended) {
	m.moveUntil(to, reason, exit, time.Time{})
}

func (m *machine) moveUntil(to event.State, reason string, exit *ended, next time.Time) {
	e := Event{State: to, Reason: reason, NextTry: next, At: time.Now()}
	m.p.set(func(s *Status) {
		checkMove(s.State, to)
		s.State, s.Reason, s.NextTry = to, reason, next
		if exit != nil {
			s.LastExit = &exit.exit
			e.Exit, e.Ended = &exit.exit, exit.ref
		}
		e.Ref = s.Ref
	})
	if m.current != nil {
		m.current.state = to
	}
	if to == event.Ready || to == event.Failed {
		m.p.isSettled()
	}
	m.tell(e)
}

// aside tells of a generation beside the current one.
func (m *machine) aside(g *generation, to event.State, reason string, exit *ended) {
	g.state = to
	e := Event{Ref: g.ref, State: to, Reason: reason, At: time.Now(), Aside: true}
	if exit != nil {
		e.Exit, e.Ended = &exit.exit, exit.ref
	}
	m.list()
	m.tell(e)
}

// list brings the generations beside the current one into the status.
func (m *machine) list() {
	var all []Aside
	for _, g := range m.living() {
		if g != m.current {
			all = append(all, Aside{g.ref, g.state, g.startedAt})
		}
	}
	m.p.set(func(s *Status) { s.Aside = all })
}

func (m *machine) setHeld(held bool) {
	m.held = held
	m.p.set(func(s *Status) { s.Held = held })
}

func (m *machine) tell(e Event) {
	if m.p.cfg.OnEvent != nil {
		m.p.cfg.OnEvent(e)
	}
}

// answer ends the order under way.
func (m *machine) answer(err error) {
	if m.order != nil {
		m.order.result <- err
		m.order = nil
	}
}

// errRunEnds is why a generation ends with Run, and not alone.
var errRunEnds = errors.New("the process is to end")

func (p *Process) set(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}
