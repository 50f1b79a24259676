package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/shared"
)

// exitGrace is how long a process that failed to start, or lost its link, may take
// to end by itself and say why.
const exitGrace = 500 * time.Millisecond

// generation is one life of the process, in a goroutine of its own.
type generation struct {
	p     *Process
	set   Settings
	stop  context.CancelCauseFunc // begins its planned end
	inst  Instance
	room  bool           // it has one of p.rooms
	calls sync.WaitGroup // those into inst
	since time.Time      // when it was ready
	cause string         // why we ended it; empty when it ended by itself

	// Of the machine alone, but for readyFor, which is set before the end is told.
	ref       event.Ref
	state     event.State
	startedAt time.Time
	readyAt   time.Time
	readyFor  time.Duration
	drained   bool
	replaced  bool // it is to end before its time, in favour of another
}

// run is the whole life: launch, start, serve, end. It returns how it ended; close is
// to follow.
func (g *generation) run(ctx context.Context) event.Exit {
	if !g.enter(ctx) {
		return stoppedEarly()
	}
	start, cancel := context.WithTimeout(ctx, g.set.Timeouts.Start)
	defer cancel()
	inst, err := g.set.Launch(start, g.ref.Generation)
	if err != nil {
		if ctx.Err() != nil {
			return stoppedEarly()
		}
		return exitOf(g.timeout(ctx, start, err))
	}
	g.inst = inst
	g.tell(report{what: reportLaunched})
	if g.start(ctx, start) {
		g.serve(ctx)
		g.readyFor = time.Since(g.since)
	}
	cancel()
	g.calls.Wait()
	exit := g.exit()
	inst.Depart()
	return exit
}

// enter waits until no more than one generation before this one is left.
func (g *generation) enter(ctx context.Context) bool {
	select {
	case g.p.rooms <- struct{}{}:
		g.room = true
	case <-ctx.Done():
	}
	return g.room
}

// close leaves nothing of it.
func (g *generation) close() {
	if g.inst != nil {
		g.inst.Close()
	}
	if g.room {
		<-g.p.rooms
	}
}

func stoppedEarly() event.Exit {
	return event.Exit{Code: -1, At: time.Now(), Cause: "stopped during its launch"}
}

// start brings the process to ready, or to its end.
func (g *generation) start(ctx, start context.Context) bool {
	started := g.call(func() error { return g.inst.Start(start) })
	select {
	case <-g.inst.Done():
		return false
	case err := <-started:
		switch {
		case ctx.Err() != nil:
			g.end(ctx, false)
			return false
		case err != nil:
			g.cause = g.timeout(ctx, start, err).Error()
			if !over(start) {
				g.wait(exitGrace)
			}
			g.kill(ctx)
			return false
		}
	}
	g.since = time.Now()
	g.tell(report{what: reportReady})
	return true
}

// serve watches a ready process until it has ended.
func (g *generation) serve(ctx context.Context) {
	var due <-chan time.Time
	if every := g.set.Health.Interval; every > 0 {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		due = ticker.C
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	var answer <-chan error
	for misses := 0; ; {
		select {
		case <-g.inst.Done():
			return
		case <-ctx.Done():
			g.end(ctx, true)
			return
		case err := <-g.inst.Failed():
			g.broken(ctx, err)
			return
		case <-due:
			if answer == nil {
				answer = g.ask(asking)
			}
		case err := <-answer:
			answer = nil
			if misses++; err == nil {
				misses = 0
			}
			if misses >= g.set.Health.Misses && ctx.Err() == nil {
				g.abort(ctx, fmt.Sprintf("hung: %d health checks in a row failed: %v", misses, err))
				return
			}
		}
	}
}

// ask asks after its health once.
func (g *generation) ask(ctx context.Context) <-chan error {
	return g.call(func() error {
		ctx, cancel := context.WithTimeout(ctx, g.set.Health.Timeout)
		defer cancel()
		failing, err := g.inst.Health(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %s", g.set.Health.Timeout)
		}
		if err == nil && failing != "" {
			err = errors.New(failing)
		}
		return err
	})
}

// call runs f in a goroutine that run waits for.
func (g *generation) call(f func() error) <-chan error {
	result := make(chan error, 1)
	g.calls.Go(func() { result <- f() })
	return result
}

// overSlack is how much earlier than ours the clock of a call may run out: it has the
// same deadline and a timer of its own.
const overSlack = 10 * time.Millisecond

// over reports whether the time for the start is up.
func over(start context.Context) bool {
	deadline, ok := start.Deadline()
	return start.Err() != nil || ok && time.Until(deadline) < overSlack
}

// timeout says so in words when err is that the start took too long.
func (g *generation) timeout(ctx, start context.Context, err error) error {
	if over(start) && ctx.Err() == nil {
		return fmt.Errorf("not ready within %s of its start: %w", g.set.Timeouts.Start, err)
	}
	return fmt.Errorf("start failed: %w", err)
}

// exit is the evidence of the process, with our own reason where there is one.
func (g *generation) exit() event.Exit {
	exit := event.Exit{Code: -1, At: time.Now(), Cause: "did not end after SIGKILL"}
	select {
	case <-g.inst.Done():
		exit = g.inst.Exit()
	default:
	}
	switch {
	case g.cause == "":
	case exit.Cause == "":
		exit.Cause = g.cause
	default:
		exit.Cause = g.cause + "; " + exit.Cause
	}
	return exit
}

// exitOf is the evidence of a launch that failed.
func exitOf(err error) event.Exit {
	exit := event.Exit{Code: -1, At: time.Now()}
	var ended *ExitError
	if errors.As(err, &ended) {
		exit = ended.Exit
	}
	if exit.Cause == "" {
		exit.Cause = err.Error()
	}
	return exit
}

func isConfig(e event.Exit) bool { return e.Code == shared.ExitConfig }
