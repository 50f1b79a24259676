package hub

import (
	"time"

	"github.com/antano/antano/shared/wire"
)

const (
	// callersHalf is how many senders are remembered at least, callersTime for how long.
	callersHalf = 1 << 18
	callersTime = 10 * time.Minute
)

// callers are the senders whose messages this process handles, for a successor of the
// manager, in two halves: who does not call while the first one grows goes with the second.
// The lock of the mailboxes guards it.
type callers struct {
	now, before map[source]struct{}
	turned      time.Time
}

// note remembers a sender.
func (c *callers) note(key source, now time.Time) {
	if silent := now.Sub(c.turned); silent >= callersTime || len(c.now) >= callersHalf {
		if c.before = c.now; silent >= 2*callersTime {
			c.before = nil
		}
		c.now, c.turned = nil, now
	}
	if c.now == nil {
		c.now = map[source]struct{}{}
	}
	c.now[key] = struct{}{}
}

// replay appends all, who called last at the end.
func (c *callers) replay(dst []byte) []byte {
	for _, half := range []map[source]struct{}{c.before, c.now} {
		for _, kind := range []wire.Kind{wire.KindClient, wire.KindService} {
			var ids []int64
			for key := range half {
				if key.kind != kind {
					continue
				}
				if ids = append(ids, key.id); len(ids) == wire.MaxSenders {
					dst, ids = wire.AppendSenders(dst, kind, ids), ids[:0]
				}
			}
			if len(ids) > 0 {
				dst = wire.AppendSenders(dst, kind, ids)
			}
		}
	}
	return dst
}

// replayCallers appends whom a successor of the manager is to leave to this process.
func (h *Hub) replayCallers(dst []byte) []byte {
	h.jobs.mu.Lock()
	defer h.jobs.mu.Unlock()
	return h.jobs.callers.replay(dst)
}
