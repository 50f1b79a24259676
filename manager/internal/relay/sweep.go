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
// ctx ends.
func (r *Router) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	var out outbox
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := uint32(time.Since(r.started) / sweepEvery)
		r.tick.Store(now)
		for _, l := range *r.up.Load() {
			l.pending.expire(now, expireAfter, &out)
			l.payAll()
			l.acknowledge(&out)
		}
		out.flush()
	}
}
