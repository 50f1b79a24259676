package socket

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// round notes since when a loop has been busy with what it woke up for.
type round struct{ since atomic.Int64 }

func (r *round) begin() { r.since.Store(time.Now().UnixNano()) }
func (r *round) end()   { r.since.Store(0) }

// busy is for how long the loop has not come round.
func (r *round) busy() time.Duration {
	since := r.since.Load()
	if since == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - since)
}

// calls are the author's calls that are running. The zero value is ready.
type calls struct {
	mu      sync.Mutex
	last    uint64
	running map[uint64]call
}

type call struct {
	began  time.Time
	cancel context.CancelFunc
}

// begin notes a call; its context ends with end, with cancel or after timeout, unless
// that is 0.
func (c *calls) begin(timeout time.Duration) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), timeout)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = make(map[uint64]call)
	}
	c.last++
	id := c.last
	c.running[id] = call{began: time.Now(), cancel: cancel}
	return ctx, func() {
		cancel()
		c.mu.Lock()
		delete(c.running, id)
		c.mu.Unlock()
	}
}

// cancel ends the contexts of all calls.
func (c *calls) cancel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, running := range c.running {
		running.cancel()
	}
}

// oldest is for how long the oldest call has been running.
func (c *calls) oldest() (age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, running := range c.running {
		age = max(age, time.Since(running.began))
	}
	return age
}

// Health reports an accept or slot loop that has not come round for 5 s, or a call
// of the author's code older than Host.HandlerTimeout. Source: plugin.HealthChecker.
func (s *SocketService) Health() error {
	timeout := s.host.HandlerTimeout()
	if age := s.calls.oldest(); timeout > 0 && age > timeout {
		return fmt.Errorf("a call of OnReceivedMessage has been running for %s, over timeouts.handler %s", age.Round(time.Millisecond), timeout)
	}
	limit := loopTimeout
	if s.config.OnReceivedMessage != nil { // slot loops run the author's code
		if timeout == 0 {
			return nil
		}
		limit += timeout
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		if age := l.round.busy(); age > limit {
			return fmt.Errorf("the accept loop of socket %s has not come round for %s", l.name, age.Round(time.Second))
		}
	}
	for _, sl := range s.slots {
		if age := sl.round.busy(); age > limit {
			return fmt.Errorf("the loop of socket %s has not come round for %s", sl.socket.Name, age.Round(time.Second))
		}
	}
	return nil
}
