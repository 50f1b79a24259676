package hub

import (
	"context"
	"errors"
	"time"
)

// drainPoll is how often Drain looks whether all is quiet.
const drainPoll = 2 * time.Millisecond

var errDrained = errors.New("the service is shutting down")

// Drain refuses new clients, waits until no accepted message is unanswered and all
// output is written, or until ctx ends, and then ends all clients. It returns how many
// of them still had output or an answer to come.
func (h *Hub) Drain(ctx context.Context) (unfinished int) {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.page.Serve(false)
	h.flushAll()
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for !h.idle() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-h.ctx.Done():
		case <-ticker.C:
		}
		if h.ctx.Err() != nil {
			break
		}
	}
	for _, c := range h.snapshot() {
		if c.Owed() {
			unfinished++
		}
		c.end(errDrained)
	}
	h.relay.Flush()
	return unfinished
}

func (h *Hub) flushAll() {
	for _, c := range h.snapshot() {
		c.flush()
	}
	h.relay.Flush()
}

// idle reports whether nothing is owed to anybody and nothing waits to be written.
func (h *Hub) idle() bool {
	return h.pending.len() == 0 && h.open.len() == 0 && h.jobs.len() == 0 && h.items.Load() == 0
}
