package manager

import (
	"slices"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/shared"
)

// past is what a process goes on with that was scaled away, or whose service was renewed.
type past struct {
	generation int // the last one there was
	restarts   int
	lastExit   *event.Exit
	exits      []ProcessExit
	drops      [shared.NumCodes]uint64 // counted by the relay
	counted    listener.Counters       // on share pages that are closed
	metrics    metrics                 // counters of generations that have ended
}

// past is that of a worker which has ended.
func (w *worker) past() past {
	st := w.process.Status()
	w.evidence.mu.Lock()
	exits := slices.Clone(w.evidence.exits)
	w.evidence.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return past{generation: st.Ref.Generation, restarts: st.Restarts, lastExit: st.LastExit, exits: exits, drops: w.drops, counted: w.counted, metrics: w.metrics}
}

// keepCounters takes the counters of a worker from a page that is about to be closed.
func (w *worker) keepCounters(page *listener.Page) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for half := range generations {
		add(&w.counted, page.Snapshot(rowsOf(w.index)+half))
	}
}

func add(sum *listener.Counters, c listener.Counters) {
	sum.MessagesIn += c.MessagesIn
	sum.MessagesOut += c.MessagesOut
	sum.BytesIn += c.BytesIn
	sum.BytesOut += c.BytesOut
	for code := range c.Drops {
		sum.Drops[code] += c.Drops[code]
	}
}
