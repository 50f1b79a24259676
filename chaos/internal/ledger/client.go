package ledger

import (
	"slices"
	"time"
)

// Client is one connection, or one id of a datagram source. Its process may change
// while it lives: see Moved.
type Client struct {
	Name    string // for people
	Service string // that it is a client of
	Stream  bool   // it has a connection, whose end it sees

	number    int
	processes []int // that served it, the current one last
	next      int   // number of its next message
	ended     time.Time
}

// Number names the client in the value of a message.
func (c *Client) Number() int { return c.number }

// is reports whether d is the same peer: a datagram source that got another id may
// learn so after messages that were meant for either.
func (c *Client) is(d *Client) bool { return c == d || !c.Stream && c.Name == d.Name }

// Open adds a client that process serves.
func (b *Book) Open(name, service string, process int, stream bool) *Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &Client{Name: name, Service: service, Stream: stream, number: len(b.clients), processes: []int{process}}
	b.clients = append(b.clients, c)
	return c
}

// Moved notes which process serves the client from now on.
func (b *Book) Moved(c *Client, process int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(c.processes, process) {
		c.processes = append(c.processes, process)
	}
}

// Ended notes that the connection is gone, or that the id of a source is.
func (b *Book) Ended(c *Client, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.ended.IsZero() {
		c.ended = at
	}
}
