package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// script says how one generation behaves. The zero value starts at once, lives
// until told to stop, and obeys everything.
type script struct {
	launchErr    error
	launchHangs  bool
	startErr     error
	startTakes   time.Duration // longer than any timeout: hangs
	exitAfter    time.Duration // from launch; 0: never by itself
	exitCode     int
	drainTakes   time.Duration
	ignoresStop  bool
	stopHangs    bool
	ignoresTerm  bool
	ignoresAbort bool
	undead       bool          // survives SIGKILL
	moveTakes    time.Duration // of the hand-over to this generation
	moveErr      error
	linkAfter    time.Duration // the link breaks; 0: never
	sickAfter    time.Duration // health answers with a failure from then on
	hungAfter    time.Duration // health gives no answer from then on
	sickFor      time.Duration // and is well again after so long
	closeTakes   time.Duration
}

const forever = 1000 * time.Hour

// world is the operating system of a test: it launches scripts in turn and writes
// down what happens, with seconds since the start.
type world struct {
	t       *testing.T
	started time.Time
	scripts []script

	mu     sync.Mutex
	trace  []string
	living int
	open   int
}

func (w *world) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Since(w.started).Round(time.Millisecond).Seconds()
	w.trace = append(w.trace, fmt.Sprintf("%g ", at)+fmt.Sprintf(format, args...))
}

func (w *world) launch(ctx context.Context, generation int) (Instance, error) {
	s := w.scripts[min(generation, len(w.scripts))-1]
	if s.launchHangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if s.launchErr != nil {
		return nil, s.launchErr
	}
	f := &fake{w: w, script: s, pid: 100 + generation, born: time.Now(),
		done: make(chan struct{}), failed: make(chan error, 1), quit: make(chan struct{})}
	w.mu.Lock()
	w.living++
	w.open++
	w.mu.Unlock()
	f.plan(s.exitAfter, func() { f.end(s.exitCode, "") })
	f.plan(s.linkAfter, func() { f.failed <- errors.New("relay link closed") })
	return f, nil
}

// fake is a process that behaves as its script says.
type fake struct {
	w *world
	script
	pid    int
	born   time.Time
	once   sync.Once
	done   chan struct{}
	failed chan error
	exit   event.Exit
	quit   chan struct{}
	timers sync.WaitGroup

	departed atomic.Bool
}

func (f *fake) plan(after time.Duration, do func()) {
	if after == 0 {
		return
	}
	f.timers.Go(func() {
		select {
		case <-time.After(after):
			do()
		case <-f.quit:
		}
	})
}

func (f *fake) end(code int, signal string) {
	f.once.Do(func() {
		f.exit = event.Exit{Code: code, Signal: signal, At: time.Now()}
		f.w.mu.Lock()
		f.w.living--
		f.w.mu.Unlock()
		close(f.done)
	})
}

func (f *fake) PID() int              { return f.pid }
func (f *fake) StartedAt() time.Time  { return f.born }
func (f *fake) Done() <-chan struct{} { return f.done }
func (f *fake) Failed() <-chan error  { return f.failed }
func (f *fake) Exit() event.Exit      { return f.exit }

func (f *fake) rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return errors.New("connection lost")
	}
}

func (f *fake) Start(ctx context.Context) error {
	if err := f.rest(ctx, f.startTakes); err != nil {
		return err
	}
	return f.startErr
}

func (f *fake) Drain(ctx context.Context, deadline time.Time) error {
	f.w.log("Drain within %g", time.Until(deadline).Seconds())
	return f.rest(ctx, f.drainTakes)
}

func (f *fake) Stop(ctx context.Context) error {
	f.w.log("Stop")
	if f.stopHangs {
		return f.rest(ctx, forever)
	}
	if !f.ignoresStop {
		f.end(0, "")
	}
	return nil
}

func (f *fake) Signal(s os.Signal) error {
	f.w.log("%s", s)
	if s == syscall.SIGTERM && !f.ignoresTerm || s == syscall.SIGABRT && !f.ignoresAbort {
		f.end(-1, s.String())
	}
	return nil
}

func (f *fake) Kill() {
	f.w.log("kill")
	if !f.undead {
		f.end(-1, "killed")
	}
}

func (f *fake) Health(ctx context.Context) (string, error) {
	age := time.Since(f.born)
	over := func(after time.Duration) bool {
		return after > 0 && age >= after && (f.sickFor == 0 || age < after+f.sickFor)
	}
	if over(f.hungAfter) {
		return "", f.rest(ctx, forever)
	}
	if over(f.sickAfter) {
		return "accept loop stands still", nil
	}
	return "", nil
}

func (f *fake) Depart() {
	if f.departed.Swap(true) {
		f.w.t.Errorf("%d departs twice", f.pid)
	}
}

func (f *fake) Close() {
	if !f.departed.Load() {
		f.w.t.Errorf("%d is closed before it departs", f.pid)
	}
	if f.closeTakes > 0 {
		<-time.After(f.closeTakes)
		f.w.log("%d is closed", f.pid)
	}
	close(f.quit)
	f.timers.Wait()
	f.w.mu.Lock()
	f.w.open--
	f.w.mu.Unlock()
}

// move is Config.Move: it ends with an error when one of the two does before the cut.
func (w *world) move(ctx context.Context, from, to Instance) error {
	old, next := from.(*fake), to.(*fake)
	w.log("move %d to %d", old.pid, next.pid)
	select {
	case <-time.After(next.moveTakes):
		return next.moveErr
	case <-old.done:
		return errors.New("the old one is gone")
	case <-next.done:
		return errors.New("the new one is gone")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// steps is a policy that reads its decisions from a list; the last one stays.
type steps struct {
	t    *testing.T
	list []Decision
	seen []UnplannedExit
}

func (s *steps) Exit(_ time.Time, e UnplannedExit) Decision {
	s.seen = append(s.seen, e)
	return s.list[min(len(s.seen), len(s.list))-1]
}

func (w *world) onEvent(e Event) {
	line := e.State.String()
	if e.Aside {
		line = fmt.Sprintf("beside: %d %s", e.Ref.Generation, line)
	}
	if e.Reason != "" {
		line += ": " + e.Reason
	}
	if e.Exit != nil {
		line += fmt.Sprintf(" <%d/%d code %d %s", e.Ended.Generation, e.Ended.PID, e.Exit.Code, e.Exit.Signal)
		line = strings.TrimSpace(line)
		if e.Exit.Cause != "" {
			line += ": " + e.Exit.Cause
		}
		line += ">"
	}
	w.log("%s", line)
}
