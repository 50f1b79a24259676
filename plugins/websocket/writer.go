package main

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/antano/antano/plugin"
)

const goodbyeTime = time.Second // a peer takes what is under way, and the goodbye

// exit is how the way out of a connection ends.
type exit struct {
	mu     sync.Mutex
	closed bool
	code   websocket.StatusCode // 0: as the state of the service says
	reason string
	tasks  sync.WaitGroup
}

// Write sends the messages, one frame each. The library cannot write without waiting, so
// that a Write which must not wait leaves all to the next, which may. Source: plugin.Writer.
func (c *connection) Write(messages [][]byte, wait bool) (n int, err error) {
	if !wait {
		return 0, plugin.ErrWouldBlock
	}
	t := messageType(c.out)
	for _, m := range messages {
		if err := c.ws.Write(context.Background(), t, m); err != nil {
			return n, err
		}
		n += len(m)
	}
	return n, nil
}

// because says how a Close to come is explained to the peer.
func (e *exit) because(code websocket.StatusCode, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.code, e.reason = code, reason
}

// Close says goodbye to the peer, in a goroutine that waits for its answer. A peer that
// does not read what is being written has a second to do so. Source: plugin.Writer.
func (c *connection) Close() error {
	e := &c.exit
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	code, reason := e.code, e.reason
	switch {
	case code != 0:
	case c.service.draining.Load():
		code, reason = websocket.StatusGoingAway, "shutting_down"
	default:
		code, reason = websocket.StatusPolicyViolation, "closed by the server"
	}
	c.conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
	e.tasks.Go(func() {
		c.ws.Close(code, reason)
		c.conn.Close()
	})
	return nil
}

// begin counts a task that finish waits for, unless the way out is closed.
func (e *exit) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.tasks.Add(1)
	}
	return !e.closed
}

// finish closes the connection, or waits until the goodbye is over.
func (c *connection) finish() {
	e := &c.exit
	e.mu.Lock()
	saying := e.closed
	e.closed = true
	e.mu.Unlock()
	if !saying {
		c.conn.Close()
	}
	e.tasks.Wait()
}
