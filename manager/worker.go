package manager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/restart"
	"github.com/antano/antano/shared"
)

// worker is one process of a service over all its generations.
type worker struct {
	service  *Service
	id       int // process_id
	index    int // among all processes that the service ever had
	process  *process.Process
	evidence evidence
	leaving  atomic.Bool        // it is being taken out of the service
	end      context.CancelFunc // ends Run; set when that begins
	ended    chan struct{}      // closed when it has

	mu        sync.Mutex
	spec      *spec                   // of the current generation, and of the next
	changed   chan struct{}           // closed at the next move; nil while nobody waits
	heir      *instance               // adopted and not taken by the state machine yet
	instances [generations]*instance  // by which of its two rows of the share page they use
	drops     [shared.NumCodes]uint64 // counted by the relay for earlier generations
	counted   listener.Counters       // on share pages that are closed
	metrics   metrics                 // counters of earlier generations
}

// generations is how many of a process there are at most: during a replacement.
const generations = 2

// rowsOf is how many rows of the share page so many processes use.
func rowsOf(processes int) int { return generations * processes }

func newWorker(s *Service, id, index int, sp *spec, before past, held bool) *worker {
	w := &worker{service: s, id: id, index: index, spec: sp, ended: make(chan struct{}), drops: before.drops, counted: before.counted, metrics: before.metrics}
	w.evidence.exits = before.exits
	w.process = process.New(process.Config{
		Ref:      event.Ref{Service: sp.plan.Params.ID, Name: sp.plan.Params.Name, Process: id, Generation: before.generation},
		Restarts: before.restarts, LastExit: before.lastExit, Held: held,
		Settings: w.settings(sp), Move: w.move, OnEvent: w.onEvent, Release: s.server.released,
	})
	return w
}

// settings are those of generations that are launched from sp.
func (w *worker) settings(sp *spec) process.Settings {
	p := sp.params
	return process.Settings{
		Launch: func(ctx context.Context, generation int) (process.Instance, error) {
			if i := w.takeHeir(generation); i != nil {
				return i, nil
			}
			return w.launch(ctx, generation, sp)
		},
		Policy:   policy{restart.NewTracker(restart.Policy(sp.plan.restart), rand.Float64), &w.evidence},
		Timeouts: process.Timeouts{Start: p.Timeouts.Start, Drain: p.Timeouts.Drain, Stop: p.Timeouts.Stop},
		Health:   process.Health{Interval: p.Health.Interval, Timeout: p.Health.Timeout, Misses: p.Health.Misses},
	}
}

func (w *worker) String() string { return fmt.Sprintf("%s/%d", w.service.plan().Params.Name, w.id) }

// policy puts a restart.Tracker behind the interface that package process declares.
type policy struct {
	*restart.Tracker
	evidence *evidence
}

func (p policy) Exit(now time.Time, e process.UnplannedExit) process.Decision {
	d := p.Tracker.Exit(now, restart.Exit{WasReady: e.WasReady, ReadyFor: e.ReadyFor, Config: e.Config})
	p.evidence.decide(d)
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
	w.evidence.moved(e)
	w.service.server.keeper.touch()
	w.emitMove(e)
	process := w.service.server.cfg.Logger.With("service", e.Ref.Name, "process", e.Ref.Process)
	log := process.With("generation", e.Ref.Generation)
	defer w.stirred()
	if e.Aside {
		w.aside(log, e)
		return
	}
	if e.Exit != nil && e.State != event.Stopped {
		process.Error("process ended", "generation", e.Ended.Generation, "pid", e.Ended.PID, "cause", e.Exit.Cause, "code", e.Exit.Code, "signal", e.Exit.Signal,
			"uptime", e.Exit.Uptime.Round(time.Millisecond), "next", e.Reason)
	}
	switch e.State {
	case event.Ready:
		if w.service.server.cfg.Dev {
			log = log.With("debug", fmt.Sprintf("dlv attach %d", e.Ref.PID))
		}
		log.Info("process ready", "pid", e.Ref.PID)
	case event.Failed:
		log.Error("process failed", "why", e.Reason)
	case event.Backoff:
		log.Warn("process backs off", "until", e.NextTry.Format(time.RFC3339), "why", e.Reason)
	case event.Stopped:
		w.logStopped(log, e)
	default:
		log.Debug("process "+e.State.String(), "pid", e.Ref.PID, "why", e.Reason)
	}
	// An adopted generation is ready before its machine says so: were it not while that
	// starts, its senders would go to a sibling for a moment.
	if i := w.at(e.Ref.Generation); i != nil && e.State != event.Starting {
		i.link.SetReady(e.State == event.Ready)
	}
	w.service.slots.moved(w, e)
}

// aside logs what becomes of a generation that replaces another, or was replaced.
func (w *worker) aside(log hclog.Logger, e process.Event) {
	if e.State == event.Stopped {
		w.logStopped(log, e)
		return
	}
	log.Info("process "+e.State.String(), "pid", e.Ref.PID, "why", e.Reason)
}

// logStopped is loud about a process that did not stop as it should.
func (w *worker) logStopped(log hclog.Logger, e process.Event) {
	if e.Exit != nil && (e.Exit.Code > 0 || e.Exit.Signal != "" && e.Exit.Signal != "SIGTERM") {
		log.Warn("process ended while it was stopped", "pid", e.Ended.PID, "cause", e.Exit.Cause, "code", e.Exit.Code, "signal", e.Exit.Signal)
		return
	}
	log.Debug("process stopped", "why", e.Reason)
}

// instance is that of the current generation, if there is one.
func (w *worker) instance() *instance { return w.at(w.process.Status().Ref.Generation) }

// launched makes an instance one that a successor can adopt.
func (w *worker) launched(i *instance, p *launch.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i.proc = p
}

// reached makes an instance one that can be called.
func (w *worker) reached(i *instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i.reached = true
}

// running are the instances of all generations that can be called.
func (w *worker) running() []*instance {
	return w.those(func(i *instance) bool { return i.reached })
}

// launchedOnes are the instances of all generations whose process was launched.
func (w *worker) launchedOnes() []*instance {
	return w.those(func(i *instance) bool { return i.proc != nil })
}

func (w *worker) those(are func(*instance) bool) (all []*instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.instances {
		if i != nil && are(i) {
			all = append(all, i)
		}
	}
	return all
}

// at is the instance of a generation, if there is one.
func (w *worker) at(generation int) *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, i := range w.instances {
		if i != nil && i.gen == generation {
			return i
		}
	}
	return nil
}

// enter gives an instance a row of the share page.
func (w *worker) enter(i *instance) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for half, other := range w.instances {
		if other == nil {
			w.instances[half], i.half = i, half
			return nil
		}
	}
	return fmt.Errorf("process %s has %d generations already", w, generations)
}

// leave is told by an instance that nothing is left of it.
func (w *worker) leave(i *instance) {
	defer w.service.server.keeper.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.instances[i.half] = nil
	addDrops(&w.drops, i.link.Stats())
	w.metrics.add(metrics(i.link.Metrics()).counters())
}

// endedCounters are the author's own of generations that have ended.
func (w *worker) endedCounters() map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return metrics(w.metrics.counters()).values()
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
	p := ProcessStatus{
		ProcessID: w.id, PID: st.Ref.PID, State: st.State.String(), Generation: st.Ref.Generation, Restarts: st.Restarts,
		Drops: w.dropped(), LastExit: lastExit(st.LastExit),
	}
	if st.Ref.PID != 0 {
		p.UptimeS = now.Sub(st.StartedAt).Seconds()
	}
	for _, a := range st.Aside {
		p.Beside = append(p.Beside, GenerationStatus{a.Ref.Generation, a.Ref.PID, a.State.String(), now.Sub(a.StartedAt).Seconds()})
	}
	w.count(&p)
	return p
}

// count fills in the counters, which are those of all generations.
func (w *worker) count(p *ProcessStatus) {
	w.mu.Lock()
	sum := w.counted
	var own metrics
	own.add(w.metrics)
	for _, i := range w.instances {
		if i == nil {
			continue
		}
		stats := i.link.Stats()
		own.add(i.link.Metrics())
		in, out := i.link.Backlog()
		p.QueuedBytes += stats.QueuedBytes
		p.LinkInBytes += in
		p.LinkOutBytes += out
		p.Groups = max(p.Groups, stats.Groups)
	}
	w.mu.Unlock()
	p.Metrics = own.values()
	for half := range generations {
		c := w.service.page.Snapshot(rowsOf(w.index) + half)
		p.Clients += c.Clients
		add(&sum, c)
	}
	p.MessagesIn, p.MessagesOut, p.BytesIn, p.BytesOut = sum.MessagesIn, sum.MessagesOut, sum.BytesIn, sum.BytesOut
}

// dropped is how many messages were dropped in all generations, by reason.
func (w *worker) dropped() map[string]uint64 {
	w.mu.Lock()
	drops, sum := w.drops, w.counted
	for _, i := range w.instances {
		if i != nil {
			addDrops(&drops, i.link.Stats())
		}
	}
	w.mu.Unlock()
	for half := range generations {
		add(&sum, w.service.page.Snapshot(rowsOf(w.index)+half))
	}
	named := map[string]uint64{}
	for code := shared.CodeBadMessage; int(code) < shared.NumCodes; code++ {
		if n := drops[code] + sum.Drops[code]; n > 0 {
			named[code.String()] = n
		}
	}
	return named
}
