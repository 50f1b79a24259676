package hub

import (
	"context"
	"errors"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// keptWriter is plugin.KeptWriter.
type keptWriter interface {
	Kept() (slot int, state []byte)
}

// appendKept appends the source frame of a client that the manager keeps over a crash,
// and reports whether it is one.
func (c *Client) appendKept(dst []byte) ([]byte, bool) {
	w, ok := c.w.(keptWriter)
	if !ok {
		return dst, false
	}
	slot, state := c.askKept(w)
	if slot < 0 || slot >= wire.MaxSlots || len(state) > wire.MaxState {
		return dst, false
	}
	return wire.AppendSource(dst, wire.TypeSource, &wire.Source{Client: c.id, Slot: uint8(slot), State: state}), true
}

// register tells the manager of a new client that it is to keep. h.mu is held, so that
// it does not hear of the end before.
func (h *Hub) register(c *Client, frame []byte) {
	c.kept.Store(true)
	h.relay.Control(func(dst []byte) []byte { return append(dst, frame...) })
}

// unregister tells it that the client has ended.
func (h *Hub) unregister(c *Client) {
	if c.kept.Swap(false) {
		h.relay.Control(func(dst []byte) []byte { return wire.AppendSourceGone(dst, c.id) })
	}
}

// tellMember tells it that the client is in a group, or no more. h.groups.mu is held,
// so that it hears of joins and leaves in their order.
func (h *Hub) tellMember(t wire.Type, c *Client, key groupKey) {
	if c.kept.Load() {
		m := memberOf(c, key)
		h.relay.Control(func(dst []byte) []byte { return wire.AppendMember(dst, t, &m) })
	}
}

func memberOf(c *Client, key groupKey) wire.Member {
	return wire.Member{Client: c.id, ID: key.id, Entity: []byte(key.entity)}
}

// restoreWithin bounds the wait for a move whose clients are all here, but whose
// goroutine has not noticed. The manager restores nothing during others.
const restoreWithin = time.Second

// OnRestore makes a client again that the manager kept.
func (h *Hub) OnRestore(s *wire.Source) {
	if err := h.restore(s); err != nil {
		h.log.Warn("a client could not be restored", "client", uint64(s.Client), "err", err)
		h.relay.Control(func(dst []byte) []byte { return wire.AppendSourceGone(dst, s.Client) })
	}
}

func (h *Hub) restore(s *wire.Source) error {
	if h.cfg.Transport == nil {
		return errNoHandover
	}
	ctx, cancel := context.WithTimeout(h.ctx, restoreWithin)
	defer cancel()
	if err := takeTurn(ctx, h.moves.inTurn); err != nil {
		return err
	}
	defer func() { <-h.moves.inTurn }()
	var c *Client
	resume, err := h.cfg.Transport.MoveIn(s.State, -1, func(e *Endpoint, address string, w Writer) (_ *Client, err error) {
		c, err = h.revive(s.Client, e, address, w)
		return c, err
	})
	switch {
	case err != nil && c != nil:
		c.end(err)
		return err
	case err != nil:
		return err
	case c == nil || resume == nil:
		return errors.New("the service made no client of it, or cannot resume it")
	}
	c.awaken(resume)
	return nil
}

// revive registers a restored client. It counts against max_clients of the service, not
// of this process.
func (h *Hub) revive(id shared.ClientID, e *Endpoint, address string, w Writer) (*Client, error) {
	c := &Client{hub: h, ep: e, id: id, address: address, w: w, connected: time.Now(), done: make(chan struct{})}
	c.received.Store(c.connected.UnixNano())
	c.kept.Store(true)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining || h.left:
		return nil, shared.Errorf(shared.CodeShuttingDown, "the service is shutting down")
	case h.clients[id] != nil:
		return nil, errTwice
	}
	h.insert(c)
	return c, nil
}

// OnMember makes a restored client a member again.
func (h *Hub) OnMember(m *wire.Member) {
	c := h.client(m.Client)
	if c == nil {
		return // it could not be restored
	}
	key := groupKey{string(m.Entity), m.ID}
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	g := h.groups.get(key)
	if g == nil {
		g = h.subscribe(key)
	}
	if g == nil || c.isClosed() {
		h.tellMember(wire.TypeNoMember, c, key)
		return
	}
	g.enter(c)
}

// replayKept appends what a successor of the manager is to keep.
func (h *Hub) replayKept(dst []byte) []byte {
	for _, c := range h.snapshot() {
		if !c.kept.Load() {
			continue
		}
		var ok bool
		if dst, ok = c.appendKept(dst); !ok {
			continue
		}
		h.groups.mu.RLock()
		for _, j := range c.joined.list {
			m := memberOf(c, j.group.key)
			dst = wire.AppendMember(dst, wire.TypeMember, &m)
		}
		h.groups.mu.RUnlock()
	}
	return dst
}
