package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/shared"
)

// Progress is one line of what a restart, stop, start, scale or reload does. The last
// one has Done or Error. Source: docs/control.md "Progress".
type Progress struct {
	Time       time.Time `json:"time"`
	Message    string    `json:"message"`
	Service    string    `json:"service,omitempty"`
	ProcessID  *int      `json:"process_id,omitempty"`
	Generation int       `json:"generation,omitempty"`
	PID        int       `json:"pid,omitempty"`
	Socket     string    `json:"socket,omitempty"` // of an attach: where the process is handed over
	Done       bool      `json:"done,omitempty"`
	Error      string    `json:"error,omitempty"`
	Code       int       `json:"code,omitempty"`   // with Error: the exit code of the command
	Stderr     []string  `json:"stderr,omitempty"` // the last lines of a process that did not become ready
}

// operation is a change of a running server that an operator asked for. It runs to its
// end whether or not anybody watches.
type operation struct {
	name    string
	started time.Time
	tell    func(Progress)

	mu      sync.Mutex // guards what follows
	lines   []Progress
	ended   bool
	changed chan struct{} // closed when there is more, and then another one
}

// say adds a line about a service, or about none.
func (o *operation) say(svc *Service, format string, args ...any) {
	p := Progress{Message: fmt.Sprintf(format, args...)}
	if svc != nil {
		p.Service = svc.plan().Params.Name
	}
	o.add(p)
}

// sayOf adds a line about a process.
func (o *operation) sayOf(w *worker, format string, args ...any) {
	ref := w.process.Status().Ref
	o.add(Progress{Message: w.String() + ": " + fmt.Sprintf(format, args...), Service: w.service.plan().Params.Name,
		ProcessID: &w.id, Generation: ref.Generation, PID: ref.PID})
}

func (o *operation) add(p Progress) {
	p.Time = time.Now()
	o.mu.Lock()
	o.lines = append(o.lines, p)
	o.ended = p.Done || p.Error != ""
	close(o.changed)
	o.changed = make(chan struct{})
	o.mu.Unlock()
	o.tell(p)
}

// end adds the last line.
func (o *operation) end(err error) {
	if err == nil {
		o.add(Progress{Message: o.name + ": done", Done: true})
		return
	}
	p := Progress{Message: o.name + ": failed", Error: err.Error(), Code: ExitCode(err)}
	var unready *process.NotReadyError
	if errors.As(err, &unready) {
		p.Stderr = unready.Exit.Stderr
		if unready.Exit.Code == shared.ExitConfig {
			p.Code = shared.ExitConfig
		}
	}
	o.add(p)
}

// watch returns a reader of the lines from the first one on.
func (o *operation) watch() control.Stream { return &watcher{o: o} }

// watcher is a control.Stream.
type watcher struct {
	o    *operation
	next int
}

// Next implements control.Stream.
func (w *watcher) Next(ctx context.Context) ([]any, error) {
	for {
		w.o.mu.Lock()
		lines, ended, changed := slices.Clone(w.o.lines[w.next:]), w.o.ended, w.o.changed
		w.o.mu.Unlock()
		if len(lines) > 0 || ended {
			w.next += len(lines)
			records := make([]any, len(lines))
			for i, l := range lines {
				records[i] = l
			}
			return records, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// operations admits one operation at a time.
type operations struct {
	tell func(Progress) // of every line; must not block

	mu      sync.Mutex // guards what follows
	ctx     context.Context
	cancel  context.CancelFunc
	current *operation
	running sync.WaitGroup
}

// open admits operations from now on; they end with ctx.
func (s *operations) open(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx, s.cancel = context.WithCancel(ctx)
}

// begin runs an operation in a goroutine of its own. Another one under way, or a
// server that is not ready for one, is an error that wraps control.ErrConflict.
func (s *operations) begin(name string, run func(context.Context, *operation) error) (*operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx == nil:
		return nil, fmt.Errorf("%s: %w: the server is starting; try again when it is ready", name, control.ErrConflict)
	case s.ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %w: the server is stopping", name, control.ErrConflict)
	case s.current != nil:
		return nil, fmt.Errorf("%s: %w: '%s' is under way since %s; try again when it has ended", name, control.ErrConflict,
			s.current.name, s.current.started.Format(time.TimeOnly))
	}
	o := &operation{name: name, started: time.Now(), tell: s.tell, changed: make(chan struct{})}
	s.current = o
	ctx := s.ctx
	s.running.Go(func() {
		err := run(ctx, o)
		s.mu.Lock()
		s.current = nil
		s.mu.Unlock()
		o.end(err)
	})
	return o, nil
}

// interrupt makes the operation under way end soon and admits no more; wait returns
// when it has.
func (s *operations) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

func (s *operations) wait() { s.running.Wait() }
