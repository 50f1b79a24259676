package manager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/restart"
	"github.com/antano/antano/shared"
)

// worker is one process of a service over all its generations.
type worker struct {
	service *Service
	id      int // process_id
	row     int // in the share page
	process *process.Process

	mu      sync.Mutex
	current *instance
	drops   [shared.NumCodes]uint64 // counted by the relay for earlier generations
}

func newWorker(s *Service, id, row int) *worker {
	w := &worker{service: s, id: id, row: row}
	p := s.server.plan.params
	w.process = process.New(process.Config{
		Ref:    event.Ref{Service: s.plan.Params.ID, Name: s.plan.Params.Name, Process: id},
		Launch: w.launchInstance, Policy: policy{restart.NewTracker(restart.Policy(s.plan.restart), rand.Float64)},
		Timeouts: process.Timeouts{Start: p.Timeouts.Start, Drain: p.Timeouts.Drain, Stop: p.Timeouts.Stop},
		Health:   process.Health{Interval: p.Health.Interval, Timeout: p.Health.Timeout, Misses: p.Health.Misses},
		OnEvent:  w.onEvent, Release: s.server.released,
	})
	return w
}

func (w *worker) String() string { return fmt.Sprintf("%s/%d", w.service.plan.Params.Name, w.id) }

// policy puts a restart.Tracker behind the interface that package process declares.
type policy struct{ *restart.Tracker }

func (p policy) Exit(now time.Time, e process.UnplannedExit) process.Decision {
	d := p.Tracker.Exit(now, restart.Exit{WasReady: e.WasReady, ReadyFor: e.ReadyFor, Config: e.Config})
	next := event.Starting
	switch d.Action {
	case restart.Backoff:
		next = event.Backoff
	case restart.Failed, restart.Never:
		next = event.Failed
	}
	return process.Decision{Next: next, After: d.After, Reason: d.String()}
}

// onEvent is told of every move of the state machine, in order.
func (w *worker) onEvent(e process.Event) {
	process := w.service.server.cfg.Logger.With("service", e.Ref.Name, "process", e.Ref.Process)
	log := process.With("generation", e.Ref.Generation)
	if e.Exit != nil && e.State != event.Stopped {
		process.Error("process ended", "generation", e.Ended.Generation, "pid", e.Ended.PID, "cause", e.Exit.Cause, "code", e.Exit.Code, "signal", e.Exit.Signal,
			"uptime", e.Exit.Uptime.Round(time.Millisecond), "next", e.Reason)
	}
	switch e.State {
	case event.Ready:
		log.Info("process ready", "pid", e.Ref.PID)
	case event.Failed:
		log.Error("process failed", "why", e.Reason)
	case event.Backoff:
		log.Warn("process backs off", "until", e.NextTry.Format(time.RFC3339), "why", e.Reason)
	case event.Stopped:
		w.stopped(log, e)
	default:
		log.Debug("process "+e.State.String(), "pid", e.Ref.PID, "why", e.Reason)
	}
	if i := w.instance(); i != nil {
		i.link.SetReady(e.State == event.Ready)
	}
	w.service.slots.moved(w, e)
	select {
	case w.service.moved <- struct{}{}:
	default:
	}
}

// stopped is loud about a process that did not stop as it should.
func (w *worker) stopped(log hclog.Logger, e process.Event) {
	if e.Exit != nil && (e.Exit.Code > 0 || e.Exit.Signal != "" && e.Exit.Signal != "SIGTERM") {
		log.Warn("process ended while it was stopped", "pid", e.Ended.PID, "cause", e.Exit.Cause, "code", e.Exit.Code, "signal", e.Exit.Signal)
		return
	}
	log.Debug("process stopped", "why", e.Reason)
}

// launchInstance is the process.Launcher of the worker.
func (w *worker) launchInstance(ctx context.Context, generation int) (process.Instance, error) {
	i, err := w.launch(ctx, generation)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.current = i
	w.mu.Unlock()
	return i, nil
}

func (w *worker) instance() *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}

// closed is told by an instance that nothing is left of it.
func (w *worker) closed(i *instance) {
	w.mu.Lock()
	addDrops(&w.drops, i.link.Stats())
	if w.current == i {
		w.current = nil
	}
	w.mu.Unlock()
	w.service.page.Clear(w.row)
}

// addDrops adds what the relay dropped on behalf of a process: its own messages, and
// those that were lost on their way to it.
func addDrops(sum *[shared.NumCodes]uint64, s relay.Stats) {
	for code := range sum {
		sum[code] += s.DropsFrom[code]
	}
	sum[shared.CodeProcessLost] += s.DropsTo[shared.CodeProcessLost]
}

// status is the process as operators see it.
func (w *worker) status(now time.Time) ProcessStatus {
	st := w.process.Status()
	c := w.service.page.Snapshot(w.row)
	p := ProcessStatus{
		ProcessID: w.id, PID: st.Ref.PID, State: st.State.String(), Generation: st.Ref.Generation, Restarts: st.Restarts,
		Clients: c.Clients, MessagesIn: c.MessagesIn, MessagesOut: c.MessagesOut, BytesIn: c.BytesIn, BytesOut: c.BytesOut,
		Drops: map[string]uint64{}, LastExit: lastExit(st.LastExit),
	}
	if st.Ref.PID != 0 {
		p.UptimeS = now.Sub(st.StartedAt).Seconds()
	}
	w.mu.Lock()
	drops := w.drops
	if w.current != nil {
		addDrops(&drops, w.current.link.Stats())
	}
	w.mu.Unlock()
	for code := shared.CodeBadMessage; int(code) < shared.NumCodes; code++ {
		if n := drops[code] + c.Drops[code]; n > 0 {
			p.Drops[code.String()] = n
		}
	}
	return p
}
