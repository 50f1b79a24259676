package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
)

// The time limits of docs/architecture.md "Guarantees" 2: one answer within 5 s. The destination
// reports first, then the manager (4.5 s), then the source.
const (
	reportAfter = 4000 * time.Millisecond
	answerAfter = 4800 * time.Millisecond
	tickEvery   = 50 * time.Millisecond
)

// codeOverBound is the fate of what stood above a queue's bound for too long.
const codeOverBound = shared.CodeOverloaded

// clock wakes the sweeper while there is something to sweep; an idle process has no
// ticks.
type clock struct {
	armed atomic.Bool
	wake  chan struct{}
	done  chan struct{}
	once  sync.Once
}

func (c *clock) init() {
	c.wake = make(chan struct{}, 1)
	c.done = make(chan struct{})
}

func (c *clock) arm() {
	if !c.armed.Load() && !c.armed.Swap(true) {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *clock) stop() { c.once.Do(func() { close(c.done) }) }

// tick is the sweeper: it closes what has waited too long.
func (h *Hub) tick() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-h.clock.done:
			return
		case <-h.clock.wake:
		case <-timer.C:
		}
		h.clock.armed.Store(false) // before the sweep: what comes during it arms again
		if h.sweep(time.Now()) {
			h.clock.armed.Store(true)
			timer.Reset(tickEvery)
		}
	}
}

// sweep reports whether there is anything left to watch.
func (h *Hub) sweep(now time.Time) bool {
	more := h.sweepPushed(now)
	more = h.sweepMailboxes(now) || more
	more = h.open.sweep(now) || more
	more = h.sweepPending(now) || more
	more = h.pauses.sweep(now) || more
	more = h.sweepRetiring(now) || more
	changed, later := h.metrics.Due(now)
	h.tellMetrics(changed)
	more = later || more
	h.relay.Flush()
	return more
}
