package hub

import (
	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// OnMessage takes a message for a client, a group or the handler of this process.
func (h *Hub) OnMessage(m *wire.Message) {
	if h.queued.Load() > int64(h.cfg.Params.Limits.ProcessQueueBytes/2) {
		h.flushDirty() // what only waits to be written must not count against the bound
	}
	switch m.Kind {
	case wire.KindClient:
		h.toClient(m)
	case wire.KindGroup:
		h.toGroup(m)
	default:
		h.toHandler(m)
	}
}

// sender is who is told when a message without a token is refused.
func sender(m *wire.Message) source {
	if m.Token != 0 || m.Kind == wire.KindGroup || m.Flags&wire.FlagReply != 0 {
		return source{}
	}
	return source{m.FromKind, m.FromID}
}

func (h *Hub) toClient(m *wire.Message) {
	c := h.client(shared.ClientID(m.EntityID))
	if m.Flags&wire.FlagRefused != 0 {
		h.toRefused(c, m)
		return
	}
	o := h.owe(m.Token)
	if c == nil {
		h.failed(o, sender(m), shared.CodeNoSuchEntity)
		return
	}
	p, code := c.ep.build(m)
	if code == shared.CodeNone {
		class := classCopy
		if m.Flags&wire.FlagStream != 0 {
			class = classDirect
		}
		code = c.put(item{p: p, owed: o, from: sender(m)}, class, m.FromProcess)
		h.release(p)
	}
	if code != shared.CodeNone {
		h.failed(o, sender(m), code)
		return
	}
	h.mark(c)
}

// toRefused tells a client of this process that its message without an id was refused.
func (h *Hub) toRefused(c *Client, m *wire.Message) {
	if c == nil || len(m.Value) != 1 {
		return
	}
	c.answerError(nil, sentence(shared.Code(m.Value[0])))
	h.mark(c)
}

// built is a message made ready for one endpoint.
type built struct {
	ep   *Endpoint
	p    *payload
	code shared.Code
}

// fanOut is one group message on its way to the members here.
type fanOut struct {
	m    *wire.Message
	owed *owed
	made []built
	full []*Client // whose queue is to be written before it takes the copy
}

// toGroup queues one copy for each member here. The message is converted and framed
// once for each endpoint.
func (h *Hub) toGroup(m *wire.Message) {
	f := fanOut{m: m, owed: h.owe(m.Token), made: h.made[:0]}
	h.groups.mu.RLock()
	if g := h.groups.find(m.Entity, m.EntityID); g != nil {
		for _, m := range g.members {
			c := m.client
			b := f.built(c.ep)
			f.owed.more()
			code := b.code
			if code == shared.CodeNone {
				code = c.tryPut(item{p: b.p, owed: f.owed})
			}
			if code == shared.CodeOverloaded && b.p != nil {
				f.full = append(f.full, c)
				continue
			}
			h.copied(c, f.owed, code)
		}
	}
	h.groups.mu.RUnlock()
	for _, c := range f.full {
		h.copied(c, f.owed, c.put(item{p: f.built(c.ep).p, owed: f.owed}, classCopy, 0))
	}
	for _, b := range f.made {
		if b.p != nil {
			h.release(b.p)
		}
	}
	clear(f.made)
	h.made = f.made
	f.owed.close()
}

// copied notes what became of one copy.
func (h *Hub) copied(c *Client, o *owed, code shared.Code) {
	if code == shared.CodeNone {
		h.mark(c)
	} else {
		h.failed(o, source{}, code)
	}
}

// built returns the message made ready for e.
func (f *fanOut) built(e *Endpoint) *built {
	for i := range f.made {
		if f.made[i].ep == e {
			return &f.made[i]
		}
	}
	p, code := e.build(f.m)
	f.made = append(f.made, built{ep: e, p: p, code: code})
	return &f.made[len(f.made)-1]
}

// build makes a message of the relay into one for clients of the endpoint; the caller has
// the reference. The link's reader alone calls it.
func (e *Endpoint) build(m *wire.Message) (*payload, shared.Code) {
	h, value, out := e.hub, m.Value, e.cfg.FormatOut
	if m.Format != out {
		var err error
		if h.converted, err = format.Convert(h.converted[:0], m.Value, m.Format, out); err != nil {
			return nil, codeOf(err)
		}
		value = h.converted
		defer keepSmall(&h.converted)
	}
	if out.Bare() {
		return e.framed(value)
	}
	var inReplyTo []byte
	if m.Flags&wire.FlagReply != 0 {
		inReplyTo = m.ID
	}
	h.object = format.AppendMessage(h.object[:0], out, to(m), from(m), inReplyTo, value)
	defer keepSmall(&h.object)
	return e.framed(h.object)
}

func (e *Endpoint) framed(message []byte) (*payload, shared.Code) {
	p, refused := e.frame(message)
	if refused != nil {
		return nil, refused.Code
	}
	return p, shared.CodeNone
}

// keepSmall drops a buffer that one large message has made large.
func keepSmall(b *[]byte) {
	if cap(*b) > 64<<10 {
		*b = nil
	}
}

func to(m *wire.Message) shared.Address { return address(m.Kind, m.Entity, m.EntityID) }

func from(m *wire.Message) shared.Address { return address(m.FromKind, nil, m.FromID) }

func address(kind wire.Kind, entity []byte, id int64) shared.Address {
	switch kind {
	case wire.KindClient:
		return shared.Address{Entity: shared.EntityClient, ID: id}
	case wire.KindService:
		return shared.Address{Entity: shared.EntityService, ID: id}
	}
	return shared.Address{Entity: string(entity), ID: id}
}
