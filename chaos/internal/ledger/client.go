package ledger

import "time"

// Client is one connection, or one id of a datagram source. Its process may change
// while it lives: see Book.Moved.
type Client struct {
	Name    string // for people
	Service string // that it is a client of
	Stream  bool   // it has a connection, whose end it sees

	number  int
	process int
	next    int // number of its next message
	ended   time.Time
}

// Number names the client in the value of a message.
func (c *Client) Number() int { return c.number }

// Open adds a client that process serves.
func (b *Book) Open(name, service string, process int, stream bool) *Client {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &Client{Name: name, Service: service, Stream: stream, number: len(b.clients), process: process}
	b.clients = append(b.clients, c)
	return c
}

// Moved notes that another process serves the client.
func (b *Book) Moved(c *Client, process int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.process = process
}

// Ended notes that the connection is gone, or that the id of a source is.
func (b *Book) Ended(c *Client, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.ended.IsZero() {
		c.ended = at
	}
}
