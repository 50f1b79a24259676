package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
)

// Writer is plugin.Writer: the way out to one client. Calls of Write never overlap.
type Writer interface {
	Write(messages [][]byte, wait bool) (n int, err error)
	Close() error
}

// Client is one peer of the service.
type Client struct {
	hub       *Hub
	ep        *Endpoint
	id        shared.ClientID
	address   string
	w         Writer // nil: cannot be answered
	connected time.Time

	received       atomic.Int64 // Unix nanoseconds
	messagesIn     atomic.Uint64
	messagesOut    atomic.Uint64
	joined         memberships   // guarded by hub.groups.mu
	dirty          bool          // in hub.dirty; the link's reader alone uses it
	answersOwed    atomic.Int64  // answers that are still to be queued
	kept           atomic.Bool   // the manager keeps it if this process crashes
	done           chan struct{} // closed by Close
	retired        atomic.Pointer[retirement]
	mu             sync.Mutex
	closed         bool
	heard          bool      // something was received since the last Flush
	held           bool      // nothing is written before what its old process had for it
	moved          *outgoing // it lives in another process now
	out            outbox
	push           push
	owedSpent      bool  // push_back is used up for want of room for them
	errorSecond    int64 // the second that errorsInSecond counts
	errorsInSecond int
}

// ID is the client's id.
func (c *Client) ID() shared.ClientID { return c.id }

// LastReceived is when the client last sent anything, as Unix nanoseconds.
func (c *Client) LastReceived() int64 { return c.received.Load() }

// Owed reports whether an answer is owed to the client or output is queued for it.
func (c *Client) Owed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answersOwed.Load() > 0 || c.out.len() > 0 || c.held
}

func (c *Client) isClosed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Close forgets the client: it leaves its groups, and what is queued for it fails.
// It does not close the Writer. A second Close does nothing.
func (c *Client) Close(cause error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	close(c.done)
	failed := c.out.takeWaiting()
	resume := c.push.end()
	c.mu.Unlock()

	h := c.hub
	h.leaveAll(c)
	h.resume(c, resume)
	for i := range failed {
		h.failItem(&failed[i], shared.CodeNoSuchEntity)
	}
	h.remove(c)
	h.unregister(c)
	h.relay.Flush()
	h.log.Debug("client closed", "client", uint64(c.id), "address", c.address, "cause", cause)
}

// insert makes c one of the clients that are found and counted. The lock is held.
func (h *Hub) insert(c *Client) {
	h.clients[c.id] = c
	h.page.AddClients(1)
}

// remove undoes insert, if c was inserted.
func (h *Hub) remove(c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients[c.id] == c {
		delete(h.clients, c.id)
		h.page.AddClients(-1)
	}
}

// end closes the client and its writer.
func (c *Client) end(cause error) {
	c.Close(cause)
	if c.w != nil {
		c.closeWriter()
	}
}

func (c *Client) closeWriter() {
	defer c.recovered("Writer.Close", nil)
	c.w.Close()
}
