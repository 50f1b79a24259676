package hub

import (
	"errors"
	"sync"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// ErrClosed is returned by a client that is closed.
var ErrClosed = errors.New("client is closed")

// ErrMoved is plugin.ErrMoved.
var ErrMoved = errors.New("client is being handed over: the message was not taken")

// reception is what receiving one message needs, kept from one to the next.
type reception struct {
	env  format.Envelope
	out  wire.Message
	wait wait
}

var receptions = sync.Pool{New: func() any { return new(reception) }}

// Receive takes one message as the client sent it and does what it says. It blocks
// while a destination pushes back on a stream, at most push_back. The error says only
// that the client is closed, or is ErrMoved.
func (c *Client) Receive(payload []byte) error { return c.ReceiveAs(c.ep.cfg.FormatIn, payload) }

// ReceiveAs is Receive of a message in format f.
func (c *Client) ReceiveAs(f shared.FormatID, payload []byte) error {
	crowded, err := c.begin(len(payload))
	if err != nil {
		return err
	}
	defer c.settle()
	if c.receive(f, payload, crowded) {
		return nil
	}
	c.messagesIn.Add(^uint64(0))
	c.hub.page.TakeBack(len(payload))
	return ErrMoved
}

// receive returns false when the message was not taken, because the client is moving.
func (c *Client) receive(f shared.FormatID, payload []byte, crowded bool) (taken bool) {
	h := c.hub
	if limit := h.cfg.Params.Limits.MaxMessageBytes; len(payload) > limit {
		c.refuse(nil, shared.Errorf(shared.CodeTooLarge, "the message has %d bytes; this service takes at most %d (max_message_bytes)", len(payload), limit))
		return true
	}
	r := receptions.Get().(*reception)
	defer receptions.Put(r)
	defer r.clear()
	env := &r.env
	r.wait = c.newWait()
	if crowded {
		if c.awaitRoom(&r.wait); r.wait.moved {
			return false
		}
	}
	if err := format.Parse(f, payload, env); err != nil {
		e, ok := errors.AsType[*shared.Error](err)
		if !ok {
			e = shared.Errorf(shared.CodeBadMessage, "%v", err)
		}
		c.refuse(env.ID, e)
		return true
	}
	if c.isRetired() {
		c.refuse(env.ID, sentence(shared.CodeShuttingDown))
		return true
	}
	return c.obey(r, f)
}

// clear forgets what belongs to the client.
func (r *reception) clear() { r.out, r.wait = wire.Message{}, wait{} }

// Reject answers and counts what never became a message.
func (c *Client) Reject(code shared.Code, text string) {
	c.refuse(nil, &shared.Error{Code: code, Text: text})
}

// Flush writes what Receive produced.
func (c *Client) Flush() {
	c.mu.Lock()
	c.heard = false
	c.mu.Unlock()
	c.flush()
	c.hub.relay.Flush()
}

// refuse counts a message that went nowhere and answers with the reason.
func (c *Client) refuse(id []byte, e *shared.Error) {
	c.hub.page.Drop(e.Code, 1)
	c.answerError(id, e)
}

func (c *Client) newWait() wait {
	w := wait{can: !c.ep.cfg.Datagram, limit: c.hub.cfg.PushBack, done: c.done, stopped: c.hub.ctx.Done(), flush: c}
	if w.can {
		w.leaving = c.hub.moves.leaving()
	}
	return w
}

// awaitRoom holds back a stream that does not read its answers before they have no
// room, which would end it.
func (c *Client) awaitRoom(w *wait) {
	c.mu.Lock()
	if !c.crowded() {
		c.mu.Unlock()
		return
	}
	room := c.out.awaitRoom()
	c.mu.Unlock()
	w.on(room)
}

// crowded reports whether a stream is to be held back. The lock is held.
func (c *Client) crowded() bool {
	return !c.ep.cfg.Datagram && c.out.crowded(int(c.answersOwed.Load()), c.hub.cfg.Params.Limits.ClientQueueBytes)
}

func (c *Client) obey(r *reception, f shared.FormatID) (taken bool) {
	env := &r.env
	switch env.Type {
	case format.TypePing:
		c.answer(func(dst []byte, out shared.FormatID) []byte { return format.AppendPong(dst, out, env.ID) })
	case format.TypeWhoami:
		c.answer(func(dst []byte, out shared.FormatID) []byte {
			return format.AppendClient(dst, out, env.ID, c.id, c.hub.cfg.Identity)
		})
	case format.TypeJoin, format.TypeLeave:
		return c.member(r)
	default:
		return c.pass(r, f)
	}
	return true
}

func (c *Client) member(r *reception) (taken bool) {
	env := &r.env
	to := env.To()
	switch {
	case !to.IsGroup():
		c.refuse(env.ID, shared.Errorf(shared.CodeDenied, "%s is no group; join and leave any entity but client and service", to.Entity))
	case !c.ep.answers() || c.w == nil:
		c.refuse(env.ID, shared.Errorf(shared.CodeDenied, "a source that cannot be answered cannot join; bind it to an address"))
	case !c.mayOwe(&r.wait):
		if r.wait.moved {
			return false
		}
		c.refuse(env.ID, sentence(shared.CodeOverloaded))
	case env.Type == format.TypeLeave:
		if !c.hub.leave(c, to, env.ID) {
			c.answerLeft(env.ID, to)
		}
	default:
		if wait, code := c.hub.join(c, to, env.ID); code != shared.CodeNone {
			c.refuse(env.ID, sentence(code))
		} else if !wait {
			c.answerJoined(env.ID, to)
		}
	}
	return true
}

// pass sends a message on its way.
func (c *Client) pass(r *reception, f shared.FormatID) (taken bool) {
	h, env, m := c.hub, &r.env, &r.out
	*m = wire.Message{
		EntityID: env.EntityID, Entity: env.Entity, Process: processOf(env.ProcessID),
		FromKind: wire.KindClient, FromID: int64(c.id), Format: f, ID: env.ID, Value: env.Message,
	}
	if len(env.Entity) == 0 {
		forward := h.cfg.Params.ForwardTo
		if forward.IsZero() {
			c.refuse(env.ID, sentence(shared.CodeNoDestination))
			return true
		}
		m.Entity, m.EntityID = []byte(forward.Entity), forward.ID
	}
	if m.Kind = wire.KindOf(string(m.Entity)); m.Kind != wire.KindGroup {
		m.Entity = nil
	}
	if r.wait.can {
		m.Flags |= wire.FlagStream
	}
	if len(env.ID) > 0 && c.ep.answers() && c.w != nil {
		if !c.mayOwe(&r.wait) {
			if r.wait.moved {
				return false
			}
			c.refuse(env.ID, sentence(shared.CodeOverloaded))
			return true
		}
		id := append([]byte(nil), env.ID...)
		token, ok := h.pending.add(pending{client: c, id: id}, time.Now())
		if !ok {
			c.refuse(env.ID, sentence(shared.CodeOverloaded))
			return true
		}
		c.oweAnswer()
		h.clock.arm()
		m.Token = token
	}
	if code := h.send(m, &r.wait); code != shared.CodeNone {
		return c.unsent(m.Token, env.ID, code, r.wait.moved)
	}
	return true
}

// unsent answers for a message that did not get on the link, unless the client's next
// process is to take it.
func (c *Client) unsent(token uint64, id []byte, code shared.Code, moved bool) (taken bool) {
	if token != 0 {
		if _, ok := c.hub.pending.take(token); !ok {
			return true // it was answered while it waited
		}
		defer c.settleAnswer()
	}
	if !moved {
		c.refuse(id, sentence(code))
	}
	return !moved
}

func processOf(id int) uint16 {
	if id == shared.AnyProcess {
		return wire.AnyProcess
	}
	return uint16(id)
}

// Send frames message and queues it for this client.
func (c *Client) Send(message []byte) error {
	p, refused := c.ep.frame(message)
	if refused != nil {
		c.hub.page.Drop(refused.Code, 1)
		return refused
	}
	defer c.hub.release(p)
	if code := c.put(item{p: p}, classCopy, 0); code != shared.CodeNone {
		c.hub.page.Drop(code, 1)
		return sentence(code)
	}
	c.flush()
	return nil
}
