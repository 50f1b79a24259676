package hub

import (
	"context"
	"time"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// settlePoll is how often a move looks whether nothing is owed any more.
const settlePoll = 2 * time.Millisecond

// cut takes the clients out of this process: the link brings nothing more for them.
func (m *outgoing) cut() {
	m.mu.Lock()
	given, ready := m.given, m.ready
	m.mu.Unlock()
	if !ready {
		m.hub.log.Error("the manager cut a move that was not ready", "move", m.id)
		return
	}
	if !m.verdict.claim() { // this process is about to stop
		return
	}
	for _, c := range given {
		c.detach(m)
	}
	if m.scope == wire.ScopeAll {
		m.hub.relay.Renounce()
	}
	m.hub.relay.Flush()
	m.setDecided()
	m.verdict.cut <- true
}

func (c *Client) detach(m *outgoing) {
	c.mu.Lock()
	c.moved = m
	c.mu.Unlock()
	c.kept.Store(false) // by this process
	c.hub.leaveAll(c)
	c.hub.remove(c)
}

// late sends what is put into the queue of a client that has moved after it.
func (m *outgoing) late(c *Client, it *item) shared.Code {
	if len(it.p.data) > transfer.MaxRecord/2 {
		return shared.CodeTooLarge
	}
	v := transfer.Late{Client: c.id, Framed: it.p.data}
	if it.owed != nil || m.conn.Put(-1, func(dst []byte) []byte { return transfer.AppendLate(dst, &v) }) != nil {
		return shared.CodeNoSuchEntity
	}
	return shared.CodeNone
}

// interrupt makes a Write that waits return.
func (m *outgoing) interrupt(c *Client) {
	defer c.recovered("Writer.Interrupt", nil)
	if w, ok := c.w.(interface{ Interrupt() }); ok {
		w.Interrupt()
	}
}

// release hands on what nobody has written, and lets go of the connection.
func (m *outgoing) release(ctx context.Context, c *Client) {
	h := m.hub
	c.awaitWriter(ctx)
	c.mu.Lock()
	gone := c.closed || c.isRetired()
	if !c.closed {
		c.closed = true
		close(c.done)
	}
	offset := c.out.offset
	items := c.out.cut(c.out.head)
	budget, paused := c.push.handOver(time.Now())
	c.mu.Unlock()
	r := transfer.Rest{Client: c.id, Last: true, Gone: gone, Budget: uint32(budget.Milliseconds()), Paused: paused}
	for i := range items {
		it := &items[i]
		p := transfer.Piece{Answer: it.own, Item: m.enter(it), Bytes: it.p.data}
		if i == 0 {
			p.Bytes = p.Bytes[offset:]
		}
		r.Pieces = append(r.Pieces, p)
	}
	err := m.conn.Put(-1, func(dst []byte) []byte { return transfer.AppendRest(dst, &r) })
	for i := range items {
		if h.forget(&items[i]); err != nil && r.Pieces[i].Item == 0 {
			h.page.Drop(shared.CodeProcessLost, 1)
		}
	}
	m.conn.Room(ctx)
	if c.w != nil {
		c.closeWriter()
	}
	h.log.Debug("client moved", "client", uint64(c.id), "address", c.address, "move", m.id)
}

// awaitWriter waits until no Write is under way; one that does not return ends with its
// connection.
func (c *Client) awaitWriter(ctx context.Context) {
	c.mu.Lock()
	if !c.out.writing {
		c.mu.Unlock()
		return
	}
	released := make(chan struct{})
	c.out.released = released
	c.mu.Unlock()
	select {
	case <-released:
		return
	case <-ctx.Done():
	}
	c.closeWriter()
	<-released
}

// enter numbers an item that somebody waits for; 0 when nobody does.
func (m *outgoing) enter(it *item) uint64 {
	if it.owed == nil && it.from.kind == 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.number++
	m.items[m.number] = it
	return m.number
}

// listen takes what the other process reports of the items, until it has no more to
// say.
func (m *outgoing) listen() {
	defer close(m.heard)
	for {
		rec, err := m.conn.Next()
		if err != nil {
			return
		}
		var v transfer.Ended
		if rec.Type != transfer.TypeEnded || v.Parse(rec.Body) != nil {
			m.hub.log.Error("the other process of a move spoke nonsense", "move", m.id, "record", rec.Type)
			return
		}
		m.mu.Lock()
		it := m.items[v.Item]
		delete(m.items, v.Item)
		m.mu.Unlock()
		if it != nil {
			m.hub.account(it, v.Code)
		}
	}
}

// account reports an item whose end was counted elsewhere.
func (h *Hub) account(it *item, code shared.Code) {
	if it.owed != nil {
		it.owed.end(code, 1)
	} else if code != shared.CodeNone {
		h.refuse(it.from, code)
	}
	h.relay.Flush()
}

// cancelItems ends what the other process, which is gone, did not report on.
func (m *outgoing) cancelItems() {
	m.mu.Lock()
	items := m.items
	m.items = map[uint64]*item{}
	m.mu.Unlock()
	for _, it := range items {
		m.hub.page.Drop(shared.CodeProcessLost, 1)
		m.hub.account(it, shared.CodeProcessLost)
	}
}

// await returns when the other process has reported on all items, no answer is owed to
// the clients, here or where they came from, and the handler is idle; or when it is gone,
// or the time is over.
func (m *outgoing) await(ctx context.Context) {
	earlier := m.hub.moves.incoming()
	ticker := time.NewTicker(settlePoll)
	defer ticker.Stop()
	owed := append([]*Client(nil), m.given...)
	var busy []transfer.Sender
	for {
		n := 0
		for _, c := range owed {
			if c.answersOwed.Load() > 0 {
				owed[n], n = c, n+1
			}
		}
		owed = owed[:n]
		busy = m.idle(busy)
		m.mu.Lock()
		open := len(m.items)
		m.mu.Unlock()
		if n == 0 && open == 0 && len(busy) == 0 && over(earlier) {
			return
		}
		select {
		case <-ticker.C:
		case <-m.heard:
			return
		case <-ctx.Done():
			return
		}
	}
}

// idle tells the other process whose handler calls are not done, if that has changed
// since it said before. Between processes that both go on, a sender keeps its handler.
func (m *outgoing) idle(before []transfer.Sender) (busy []transfer.Sender) {
	if m.scope == wire.ScopeAll {
		busy = m.hub.jobs.senders()
	}
	if before == nil || len(busy) < len(before) {
		m.conn.Put(-1, func(dst []byte) []byte { return transfer.AppendIdle(dst, busy) })
	}
	if busy == nil {
		busy = []transfer.Sender{}
	}
	return busy
}
