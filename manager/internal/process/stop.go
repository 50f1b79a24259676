package process

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// abortWait is how long a hung process may write its dump after SIGABRT.
	abortWait = 5 * time.Second
	// killWait is how long a planned stop waits for the kernel to end a process.
	killWait = 5 * time.Second
	// drainMargin is how much later than its deadline Drain may answer, and how much
	// later than that a release may come.
	drainMargin = time.Second
)

// end is the planned one: Drain, the release, Stop, SIGTERM, SIGKILL, each bounded
// and each left out once the process is gone. A process that never was ready gets no
// call, since its Start may still be under way.
func (g *generation) end(ctx context.Context, ready bool) {
	reason := "stopping"
	if cause := context.Cause(ctx); cause == errReplaced || cause == errDismissed {
		reason = cause.Error()
	}
	g.tell(report{what: reportLeaving, reason: reason})
	limits := g.set.Timeouts
	if ready {
		deadline := time.Now().Add(limits.Drain)
		g.ordered(limits.Drain+drainMargin, func(ctx context.Context) error { return g.inst.Drain(ctx, deadline) })
		g.tell(report{what: reportDrained})
		if errors.Is(context.Cause(ctx), errRunEnds) {
			g.released(time.Until(deadline) + 2*drainMargin)
		}
		asked := time.Now()
		if g.ordered(limits.Stop, g.inst.Stop) && g.wait(limits.Stop-time.Since(asked)) {
			return
		}
	}
	g.tell(report{what: reportDrained})
	if !g.gone() && !g.isKilled() && g.inst.Signal(syscall.SIGTERM) == nil {
		if g.wait(limits.Stop) {
			return
		}
		if !g.isKilled() {
			g.cause = fmt.Sprintf("did not stop within %s of SIGTERM", limits.Stop)
		}
	}
	g.kill(ctx)
}

// released waits until the process may be stopped, for at most limit.
func (g *generation) released(limit time.Duration) {
	if g.p.cfg.Release == nil {
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-g.p.cfg.Release:
	case <-g.inst.Done():
	case <-g.p.killed:
	case <-timer.C:
	}
}

// ordered makes one call of a stop and reports whether it succeeded. It ends early
// when the process ends or is to be killed.
func (g *generation) ordered(limit time.Duration, f func(context.Context) error) bool {
	if g.gone() || g.isKilled() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer := g.call(func() error { return f(ctx) })
	select {
	case err := <-answer:
		return err == nil
	case <-g.inst.Done():
	case <-g.p.killed:
	}
	return false
}

// abort ends a hung process so that it leaves a dump.
func (g *generation) abort(ctx context.Context, reason string) {
	g.cause = reason
	g.tell(report{what: reportLeaving, reason: reason})
	if g.inst.Signal(syscall.SIGABRT) == nil && g.wait(abortWait) {
		return
	}
	g.kill(ctx)
}

// broken replaces a process whose link is gone, unless that was the first sign of
// its end.
func (g *generation) broken(ctx context.Context, err error) {
	if g.wait(exitGrace) {
		return
	}
	g.cause = fmt.Sprintf("cannot serve on: %v", err)
	g.tell(report{what: reportLeaving, reason: g.cause})
	g.kill(ctx)
}

// kill ends the process and waits until it is reaped: a replacement must not run
// beside it. A planned stop waits no longer than killWait.
func (g *generation) kill(ctx context.Context) {
	if g.gone() {
		return
	}
	g.inst.Kill()
	select {
	case <-g.inst.Done():
		return
	case <-ctx.Done():
	}
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-g.inst.Done():
	case <-timer.C:
	}
}

// wait waits for the end of the process and reports whether it came.
func (g *generation) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-g.inst.Done():
		return true
	case <-g.p.killed:
	case <-timer.C:
	}
	return g.gone()
}

func (g *generation) gone() bool {
	select {
	case <-g.inst.Done():
		return true
	default:
		return false
	}
}

func (g *generation) isKilled() bool {
	select {
	case <-g.p.killed:
		return true
	default:
		return false
	}
}
