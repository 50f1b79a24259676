package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
)

// retireAfter is the longest that an answer can be owed.
const retireAfter = 5 * time.Second

// retirement is how a client ends that is to end in good order.
type retirement struct {
	cause error
	until time.Time // zero: whoever asked for it bounds it
}

// Retire lets the client end once nothing is owed to it, at the latest after 5 s.
func (c *Client) Retire(cause error) {
	c.retire(cause, time.Now().Add(retireAfter))
	c.hub.relay.Flush()
}

// retire leaves the unsubscriptions to be flushed by the caller.
func (c *Client) retire(cause error, until time.Time) {
	if !c.retired.CompareAndSwap(nil, &retirement{cause, until}) {
		return
	}
	c.hub.leaveAll(c)
	if !c.endRetired() {
		c.hub.retiring.add(c)
		c.hub.clock.arm()
	}
}

// endRetired ends a retired client that nothing is owed to and that has got all. It is called when the
// queue has become empty, after a message was received, and by the sweeper.
func (c *Client) endRetired() bool {
	r := c.retired.Load()
	if r == nil || c.Owed() {
		return false
	}
	if c.callUnsent() > 0 {
		return false
	}
	c.end(r.cause)
	return true
}

// isRetired reports whether messages of the client are `shutting_down`.
func (c *Client) isRetired() bool { return c.retired.Load() != nil }

// retiring is the set of clients that are to end.
type retiring struct {
	mu  sync.Mutex
	set map[*Client]struct{}
}

func (r *retiring) add(c *Client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		r.set = map[*Client]struct{}{}
	}
	r.set[c] = struct{}{}
}

// all empties the set.
func (r *retiring) all() map[*Client]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.set
	r.set = nil
	return set
}

// sweepRetiring ends the retired clients that are done or out of time, and reports
// whether others are left.
func (h *Hub) sweepRetiring(now time.Time) (more bool) {
	for c := range h.retiring.all() {
		r := c.retired.Load()
		switch {
		case c.isClosed() || c.endRetired():
		case !r.until.IsZero() && !now.Before(r.until):
			c.end(r.cause)
		default:
			h.retiring.add(c)
			more = true
		}
	}
	return more
}

// Take counts a message that the service handles itself. Until done is called an
// answer is owed.
func (c *Client) Take(size int) (done func(), err error) {
	if _, err := c.begin(size); err != nil {
		return nil, err
	}
	c.received.Store(time.Now().UnixNano())
	if c.isRetired() {
		c.settle()
		return nil, sentence(shared.CodeShuttingDown)
	}
	var once atomic.Bool
	return func() {
		if !once.Swap(true) {
			c.settle()
		}
	}, nil
}

// begin counts a message of the client; until settle an answer is owed to it. A stream
// that is retired is not read any more, or its answers would never end: begin waits for
// the end of the client. A datagram source has no end that it could see, and is told.
// crowded says that awaitRoom is to be called.
func (c *Client) begin(size int) (crowded bool, err error) {
	if !c.ep.cfg.Datagram && c.hub.moves.areLeaving() && !c.isRetired() {
		return false, ErrMoved
	}
	if c.isRetired() && !c.ep.cfg.Datagram {
		c.Flush()
		<-c.done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, ErrClosed
	}
	c.answersOwed.Add(1)
	if !c.heard { // one look at the clock for all that is received at once
		c.heard = true
		c.received.Store(time.Now().UnixNano())
	}
	c.messagesIn.Add(1)
	c.hub.page.In(size)
	return c.crowded(), nil
}

// settle is the end of what begin began.
func (c *Client) settle() {
	c.settleAnswer()
	if c.isRetired() {
		c.endRetired()
	}
}

func (c *Client) callUnsent() (n int) {
	defer c.recovered("Writer.Unsent", nil)
	if w, ok := c.w.(interface{ Unsent() int }); ok {
		return w.Unsent()
	}
	return 0
}
