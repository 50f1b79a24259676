package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

var (
	// ErrStopped means that the process is stopped or being stopped, so what was asked
	// of it does not happen.
	ErrStopped = errors.New("the process is stopped")
	// ErrBusy means that an earlier command is still under way.
	ErrBusy = errors.New("an earlier command of the process is under way")
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

// Settings is what may change while the process runs. A generation keeps those it was
// started with, but for Policy: the latest decides.
type Settings struct {
	Launch   Launcher
	Policy   Policy
	Timeouts Timeouts
	Health   Health
}

// Config is what a Process is made of.
type Config struct {
	Ref      event.Ref // Generation, the last one there was, and PID are kept here
	Restarts int       // counted before
	LastExit *event.Exit
	Settings
	// Held has Run wait for Start, as after Stop.
	Held bool
	// Move hands the clients of one generation, which is ready, to its successor, which
	// is too. With an error everything is as before; it ends soon after one of the
	// instances or ctx does. Nil: nothing moves, clients are drained.
	Move func(ctx context.Context, from, to Instance) error
	// Release holds back what follows Drain when Run is to end until it is closed:
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
	// Aside is a move of a generation beside the one that the process's state is
	// about: one that is to replace it, or was replaced. Stopped is then its end.
	Aside bool
}

// Status is the process at one moment.
type Status struct {
	Ref       event.Ref // PID 0 while there is none
	State     event.State
	Held      bool      // stopped by command, or about to be
	Restarts  int       // starts that followed an unplanned exit
	StartedAt time.Time // of the last generation
	ReadyAt   time.Time // of the last generation, zero when it was not ready
	LastExit  *event.Exit
	NextTry   time.Time
	Reason    string // of the last move
	Aside     []Aside
}

// Aside is a generation beside the current one: its successor, which starts, or its
// predecessor, which drains.
type Aside struct {
	Ref       event.Ref
	State     event.State
	StartedAt time.Time
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
	gone     chan struct{} // closed when Run returns
	orders   chan *order
	reports  chan report
	alive    chan struct{} // sent to by Run for who asks
	rooms    chan struct{} // holds one for every generation of which something is left
	leaving  *Leaving      // set before Run

	mu     sync.Mutex
	status Status
}

// New returns a stopped process.
func New(cfg Config) *Process {
	return &Process{
		cfg: cfg, settled: make(chan struct{}), drained: make(chan struct{}), killed: make(chan struct{}),
		gone: make(chan struct{}), orders: make(chan *order), reports: make(chan report), alive: make(chan struct{}),
		rooms: make(chan struct{}, generations), status: Status{Ref: cfg.Ref, Held: cfg.Held, Restarts: cfg.Restarts, LastExit: cfg.LastExit},
	}
}

// Status returns a snapshot. Safe for concurrent use.
func (p *Process) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// generations is how many of a process there are at most, those that are being closed
// included.
const generations = 2

// Alive returns nil once Run comes round, or has returned; ctx.Err() when ctx ends before
// that. Safe for concurrent use.
func (p *Process) Alive(ctx context.Context) error {
	select {
	case <-p.alive:
		return nil
	case <-p.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Settled is closed when the process is ready or failed for the first time, or
// stopped: what start-up waits for.
func (p *Process) Settled() <-chan struct{} { return p.settled }

// Drained is closed when the process owes nobody anything any more: when Run is to
// end after Drain, and when it returns.
func (p *Process) Drained() <-chan struct{} { return p.drained }

func (p *Process) owesNothing() { p.drain.Do(func() { close(p.drained) }) }

func (p *Process) isSettled() { p.settle.Do(func() { close(p.settled) }) }

// Kill makes a stop that is under way, or comes later, kill at once. Safe for
// concurrent use; it does not wait.
func (p *Process) Kill() { p.killOnce.Do(func() { close(p.killed) }) }

// Run keeps the process running until ctx ends, which is a planned stop, and
// returns when nothing of it is left. It is called once.
func (p *Process) Run(ctx context.Context) {
	defer close(p.gone)
	defer p.isSettled()
	defer p.owesNothing()
	m := &machine{p: p, set: p.cfg.Settings, last: p.cfg.Ref.Generation, restarts: p.cfg.Restarts, held: p.cfg.Held}
	m.run(ctx)
}

// Leaving is a generation that an earlier manager had begun to end.
type Leaving struct {
	Instance   Instance
	Generation int
}

// Leave has Run end a generation that drains already, beside the current one. Call it before
// Run.
func (p *Process) Leave(l Leaving) { p.leaving = &l }

// NotReadyError is a generation that was asked for and did not become ready, or did
// and ended before it had replaced its predecessor.
type NotReadyError struct {
	Ref      event.Ref
	Exit     event.Exit
	WasReady bool // and ended then
}

func (e *NotReadyError) Error() string {
	if e.WasReady {
		return fmt.Sprintf("process %s was ready in generation %d and ended: %s", e.Ref, e.Ref.Generation, e.Exit.Cause)
	}
	return fmt.Sprintf("process %s did not become ready in generation %d: %s", e.Ref, e.Ref.Generation, e.Exit.Cause)
}
