package relay

import (
	"context"
	"time"
)

const (
	sweepEvery = 100 * time.Millisecond
	// expireAfter is the age in ticks at which the router answers timeout for a
	// destination: later than the destination's own limit of 4 s, earlier than the
	// source's of 4.8 s.
	expireAfter = 46
)

// sweep ends what is open for too long and pays what credit is left over, until
// ctx ends. While nothing is open it sleeps: an idle server uses no processor.
func (r *Router) sweep(ctx context.Context) {
	timer := time.NewTimer(sweepEvery)
	defer timer.Stop()
	var out outbox
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := r.now()
		for _, l := range *r.up.Load() {
			l.pending.expire(now, expireAfter, &out)
			l.payAll()
			l.acknowledge(&out)
		}
		out.flush()
		if r.sleep() {
			select {
			case <-ctx.Done():
				return
			case <-r.roused:
			}
		}
		timer.Reset(sweepEvery)
	}
}

// now reads the clock of the router, in ticks, and sets what the readers see of it, which
// never goes back.
func (r *Router) now() uint32 {
	now := uint32(time.Since(r.started) / sweepEvery)
	for {
		seen := r.tick.Load()
		if now <= seen {
			return seen
		}
		if r.tick.CompareAndSwap(seen, now) {
			return now
		}
	}
}

// sleep reports whether there is nothing to sweep, and then nothing is swept before
// rouse. What is opened meanwhile finds the router asleep, or is found here.
func (r *Router) sleep() bool {
	r.asleep.Store(true)
	for _, l := range *r.up.Load() {
		if !l.settled() {
			return !r.asleep.CompareAndSwap(true, false)
		}
	}
	return true
}

// settled reports whether nothing of l is to be swept.
func (l *Link) settled() bool { return l.pending.count() == 0 && l.lanes.settled() && l.acks.settled() }

// rouse goes on with sweeping. It is called behind whatever is to be swept, but for the acks
// of messages that were refused, which nobody waits for.
func (r *Router) rouse() {
	if !r.asleep.Load() {
		return
	}
	r.now() // before readers look at it again
	if r.asleep.CompareAndSwap(true, false) {
		select {
		case r.roused <- struct{}{}:
		default:
		}
	}
}
