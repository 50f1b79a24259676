package relay

import (
	"sync"

	"github.com/antano/antano/shared/wire"
)

// aggregate adds up the results of one group message over the processes it went
// to. The source gets the sum when the last part is in.
type aggregate struct {
	src *Link

	mu   sync.Mutex
	open int
	sum  wire.Result
}

var aggregates = sync.Pool{New: func() any { return new(aggregate) }}

// newAggregate expects parts results.
func newAggregate(src *Link, token uint64, parts int) *aggregate {
	a := aggregates.Get().(*aggregate)
	a.src, a.open, a.sum = src, parts, wire.Result{Token: token}
	return a
}

// add takes one part. The last one ends a.
func (a *aggregate) add(res *wire.Result, out *outbox) {
	a.mu.Lock()
	a.sum.Add(res)
	a.open--
	last := a.open == 0
	a.mu.Unlock()
	if last {
		out.result(a.src, &a.sum)
		a.src = nil
		aggregates.Put(a)
	}
}
