package hub

import (
	"context"
	"fmt"
)

// tellQuietLocked wakes Finish when nothing is owed to the client any more.
func (c *Client) tellQuietLocked() {
	if c.quiet != nil && (c.closed || c.answersOwed == 0 && c.out.len() == 0) {
		close(c.quiet)
		c.quiet = nil
	}
}

// Finish blocks until every answer that is owed to the client is written, or the
// client is closed, or ctx ends.
func (c *Client) Finish(ctx context.Context) error {
	c.Flush()
	c.mu.Lock()
	if c.quiet == nil {
		c.quiet = make(chan struct{})
	}
	quiet := c.quiet
	c.tellQuietLocked()
	c.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the answers of client %d: %w", c.id, ctx.Err())
	}
}

func (c *Client) isClosed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// busy reports whether anything is still to be written to the client or is owed to it.
func (c *Client) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answersOwed > 0 || c.out.len() > 0
}
