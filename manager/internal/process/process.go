package process

import (
	"context"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// Timeouts bound the steps of a start and a stop: Start from exec to ready, Drain,
// and Stop for the Stop call and again for SIGTERM. Source: docs/architecture.md "Supervision".
type Timeouts struct{ Start, Drain, Stop time.Duration }

// Health is how often a ready process is asked, how long an answer may take, and
// how many misses in a row make it hung. Interval 0 asks never.
type Health struct {
	Interval, Timeout time.Duration
	Misses            int
}

// Config is what a Process is made of.
type Config struct {
	Ref      event.Ref // Generation and PID are filled in here
	Launch   Launcher
	Policy   Policy
	Timeouts Timeouts
	Health   Health
	// Release holds back what follows Drain in a planned stop until it is closed:
	// until siblings, which this process may owe something, are drained too. It is
	// not waited for longer than they may take; nil is not waited for.
	Release <-chan struct{}
	// OnEvent is told of every move, from Run; it must not block. May be nil.
	OnEvent func(Event)
}

// Event is one move of the state machine.
type Event struct {
	Ref     event.Ref // of the generation that the move is about
	State   event.State
	Reason  string
	Exit    *event.Exit // the end that led to this move
	Ended   event.Ref   // whose end that was
	NextTry time.Time   // with Backoff, and with Failed unless it is final
	At      time.Time
}

// Status is the process at one moment.
type Status struct {
	Ref       event.Ref // PID 0 while there is none
	State     event.State
	Restarts  int       // starts that followed an unplanned exit
	StartedAt time.Time // of the last generation
	ReadyAt   time.Time // of the last generation, zero when it was not ready
	LastExit  *event.Exit
	NextTry   time.Time
	Reason    string // of the last move
}

// Process is one process of a service over all its generations.
type Process struct {
	cfg      Config
	settled  chan struct{}
	settle   sync.Once
	drained  chan struct{}
	drain    sync.Once
	killed   chan struct{}
	killOnce sync.Once

	mu     sync.Mutex
	status Status
	last   event.Ref // the generation that ended last
}

// New returns a stopped process.
func New(cfg Config) *Process {
	return &Process{
		cfg: cfg, settled: make(chan struct{}), drained: make(chan struct{}), killed: make(chan struct{}),
		status: Status{Ref: cfg.Ref},
	}
}

// Status returns a snapshot. Safe for concurrent use.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Settled is closed when the process is ready or failed for the first time, or
// stopped: what start-up waits for.
func (p *Process) Settled() <-chan struct{} { return p.settled }

// Drained is closed when the process owes nobody anything any more: in a planned
// stop after Drain, and when Run returns.
func (p *Process) Drained() <-chan struct{} { return p.drained }

func (p *Process) owesNothing() { p.drain.Do(func() { close(p.drained) }) }

// Kill makes a stop that is under way, or comes later, kill at once. Safe for
// concurrent use; it does not wait.
func (p *Process) Kill() { p.killOnce.Do(func() { close(p.killed) }) }

// Run keeps the process running until ctx ends, which is a planned stop, and
// returns when nothing of it is left. It is called once.
func (p *Process) Run(ctx context.Context) {
	defer p.settle.Do(func() { close(p.settled) })
	defer p.owesNothing()
	restarts, reason := 0, ""
	var exit *event.Exit
	for ctx.Err() == nil {
		p.begin(restarts, reason, exit)
		g := &generation{p: p}
		e := g.run(ctx)
		exit = &e
		if ctx.Err() != nil {
			break
		}
		d := p.cfg.Policy.Exit(time.Now(), UnplannedExit{
			WasReady: !g.readyAt.IsZero(), ReadyFor: g.readyFor, Config: isConfig(e),
		})
		restarts, reason = restarts+1, d.Reason
		if d.Next == event.Starting {
			continue
		}
		more := p.pause(ctx, d, exit)
		exit = nil // told with the pause
		if !more {
			break
		}
	}
	if p.Status().State != event.Stopped {
		p.move(event.Stopped, "stopped as asked", exit, time.Time{})
	}
}

// begin starts a new generation in the books.
func (p *Process) begin(restarts int, reason string, exit *event.Exit) {
	p.mu.Lock()
	s := &p.status
	s.Ref.Generation++
	s.Restarts = restarts
	s.StartedAt, s.ReadyAt = time.Now(), time.Time{}
	p.mu.Unlock()
	p.move(event.Starting, reason, exit, time.Time{})
}

// pause waits for the next try and reports whether there is one.
func (p *Process) pause(ctx context.Context, d Decision, exit *event.Exit) bool {
	var next time.Time
	var due <-chan time.Time
	if d.After > 0 || d.Next == event.Backoff {
		next = time.Now().Add(d.After)
		timer := time.NewTimer(d.After)
		defer timer.Stop()
		due = timer.C
	}
	p.move(d.Next, d.Reason, exit, next)
	select {
	case <-due:
		return true
	case <-ctx.Done():
		return false
	}
}

// move is the only place where the state changes.
func (p *Process) move(to event.State, reason string, exit *event.Exit, next time.Time) {
	p.mu.Lock()
	s := &p.status
	checkMove(s.State, to)
	s.State, s.Reason, s.NextTry = to, reason, next
	if exit != nil {
		s.LastExit = exit
	}
	e := Event{Ref: s.Ref, State: to, Reason: reason, Exit: exit, NextTry: next, At: time.Now()}
	if exit != nil {
		e.Ended = p.last
	}
	p.mu.Unlock()
	if to == event.Ready || to == event.Failed {
		p.settle.Do(func() { close(p.settled) })
	}
	if p.cfg.OnEvent != nil {
		p.cfg.OnEvent(e)
	}
}

func (p *Process) set(change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.status)
}

// ended takes the pid out of the books once the process is gone.
func (p *Process) ended() {
	p.set(func(s *Status) {
		p.last = s.Ref
		s.Ref.PID = 0
	})
}
