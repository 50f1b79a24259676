package flow

import (
	"sync/atomic"
	"time"
)

// progress is how many messages have come, to all receivers together, and wakes the
// sender when there are as many as it waits for. One sender uses it.
type progress struct {
	total  atomic.Int64
	wanted atomic.Int64
	woken  chan struct{}
}

func newProgress() *progress { return &progress{woken: make(chan struct{}, 1)} }

func (p *progress) add(n int) {
	if have, want := p.total.Add(int64(n)), p.wanted.Load(); want > 0 && have >= want {
		select {
		case p.woken <- struct{}{}:
		default:
		}
	}
}

// wait blocks until want messages have come, which it reports, or until is there, or no
// more than a moment.
func (p *progress) wait(want int64, moment time.Duration, until time.Time) bool {
	p.wanted.Store(want)
	defer p.wanted.Store(0)
	over := time.NewTimer(min(moment, time.Until(until)))
	defer over.Stop()
	for p.total.Load() < want {
		select {
		case <-p.woken: // perhaps for what was wanted before
		case <-over.C:
			return p.total.Load() >= want
		}
	}
	return true
}
