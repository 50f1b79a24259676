package process

import (
	"context"
	"os"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// Instance is one generation of a process that was launched. Run calls at most one
// of Start, Drain and Stop at a time, Health beside them; calls with a context
// return soon after it ends.
type Instance interface {
	PID() int
	// StartedAt is when it was launched, which may have been by an earlier manager.
	StartedAt() time.Time
	// Start returns once the process answered Start and its relay link is up.
	Start(ctx context.Context) error
	// Drain returns when no accepted message is unanswered, or at the deadline.
	Drain(ctx context.Context, deadline time.Time) error
	// Stop asks the process to end. It may return before Done.
	Stop(ctx context.Context) error
	// Signal sends a signal to the process alone.
	Signal(os.Signal) error
	// Kill sends SIGKILL to its process group and does not wait.
	Kill()
	// Done is closed when the process has been reaped.
	Done() <-chan struct{}
	// Exit is how it ended, once Done is closed.
	Exit() event.Exit
	// Failed delivers why a process that still lives cannot go on: its relay link
	// broke. A nil channel never does.
	Failed() <-chan error
	// Health asks the process; failing names what hangs.
	Health(ctx context.Context) (failing string, err error)
	// Depart takes the process, which has ended or does not, out of everything that
	// others see of it: what it sent was routed and what it owed is answered. Once.
	Depart()
	// Close releases everything else after Depart, and whatever still runs. The next
	// generation may be starting meanwhile.
	Close()
}

// Launcher starts a generation and returns when it can be told to Start. With an
// error, which may be an *ExitError, nothing is left of it.
type Launcher func(ctx context.Context, generation int) (Instance, error)

// ExitError is a launch that failed because the process ended.
type ExitError struct {
	Exit event.Exit
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Policy decides when a process that exited unplanned starts again.
type Policy interface {
	Exit(now time.Time, e UnplannedExit) Decision
}

// UnplannedExit is what a Policy looks at. A failed start is one too.
type UnplannedExit struct {
	WasReady bool
	ReadyFor time.Duration
	Config   bool // it exited with shared.ExitConfig
}

// Decision is what a Policy answers.
type Decision struct {
	Next   event.State   // Starting (at once), Backoff or Failed
	After  time.Duration // until the next start; 0 with Failed: none
	Reason string        // for people
}
