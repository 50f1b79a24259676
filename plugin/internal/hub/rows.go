package hub

import (
	"time"

	"github.com/antano/antano/shared"
)

// Row describes one client for people.
type Row struct {
	ID                      shared.ClientID
	Address                 string
	Connected               time.Time
	MessagesIn, MessagesOut uint64
	QueuedBytes             int
	Groups                  int
}

// Rows lists the clients, in no order.
func (h *Hub) Rows() []Row {
	clients := h.snapshot()
	rows := make([]Row, len(clients))
	for i, c := range clients {
		c.mu.Lock()
		queued := c.out.bytes
		c.mu.Unlock()
		rows[i] = Row{
			ID: c.id, Address: c.address, Connected: c.connected, MessagesIn: c.messagesIn.Load(),
			MessagesOut: c.messagesOut.Load(), QueuedBytes: queued, Groups: h.joinedCount(c),
		}
	}
	return rows
}
