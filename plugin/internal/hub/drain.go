package hub

import (
	"context"
	"errors"
	"time"
)

// drainPoll is how often Drain looks whether all is quiet.
const drainPoll = 2 * time.Millisecond

var errDrained = errors.New("the service is shutting down")

// Drain waits until clients on the move have left, refuses new ones and ends each of those there are once nothing is owed to
// it, the idle ones at once. It returns when none is left and no accepted message is
// unanswered, or when ctx ends: then it ends the clients that still have output or an
// answer to come, and returns how many there were.
func (h *Hub) Drain(ctx context.Context) (unfinished int) {
	h.moves.decided(ctx)
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.page.Serve(false)
	h.flushAll()
	for _, c := range h.snapshot() {
		c.retire(errDrained, time.Time{})
	}
	h.relay.Flush()
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for !h.idle() && ctx.Err() == nil && h.ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-h.ctx.Done():
		case <-ticker.C:
		}
	}
	left := h.snapshot()
	for _, c := range left {
		c.end(errDrained)
	}
	h.relay.Flush()
	return len(left)
}

func (h *Hub) flushAll() {
	for _, c := range h.snapshot() {
		c.flush()
	}
	h.relay.Flush()
}

// idle reports whether all clients have ended and nothing is owed to anybody.
func (h *Hub) idle() bool {
	h.mu.Lock()
	clients := len(h.clients)
	h.mu.Unlock()
	return clients == 0 && h.moves.len() == 0 && h.pending.len() == 0 && h.open.len() == 0 && h.jobs.len() == 0 && h.items.Load() == 0
}
