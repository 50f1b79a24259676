package hub

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// cut wakes the sleepers: the link brings the next message to them.
func (in *incoming) cut() {
	h := in.hub
	in.mu.Lock()
	ready, scope, ranges := in.ready, in.scope, in.ranges
	sleepers := make([]*sleeper, 0, len(in.sleepers))
	for _, s := range in.sleepers {
		sleepers = append(sleepers, s)
	}
	in.mu.Unlock()
	if !ready {
		h.log.Error("the manager cut a move that was not ready", "move", in.id)
		return
	}
	if !in.verdict.claim() { // this process is about to stop
		return
	}
	h.wakeGroups(sleepers)
	h.mu.Lock()
	for _, s := range sleepers {
		if !s.client.isClosed() {
			h.insert(s.client)
		}
	}
	h.mu.Unlock()
	if scope == wire.ScopeAll {
		h.relay.Inherit(ranges)
		h.jobs.hold(in)
	}
	h.relay.Flush()
	in.verdict.cut <- true
}

func (h *Hub) wakeGroups(sleepers []*sleeper) {
	h.groups.mu.Lock()
	defer h.groups.mu.Unlock()
	for _, s := range sleepers {
		c := s.client
		for _, g := range s.groups {
			g.wake()
			if h.groups.get(g.key) != g { // the manager refused it
				h.tellMember(wire.TypeNoMember, c, g.key)
				continue
			}
			if c.isClosed() {
				h.endGroup(g)
				continue
			}
			g.enter(c)
		}
		s.groups = nil
	}
}

// obey takes one record after the cut.
func (in *incoming) obey(rec transfer.Record) error {
	h := in.hub
	defer h.relay.Flush()
	switch rec.Type {
	case transfer.TypeRest:
		var r transfer.Rest
		if err := r.Parse(rec.Body); err != nil {
			return err
		}
		return in.rest(&r)
	case transfer.TypeLate:
		var v transfer.Late
		if err := v.Parse(rec.Body); err != nil {
			return err
		}
		in.late(&v)
	case transfer.TypeIdle:
		busy, err := transfer.ParseIdle(rec.Body)
		if err != nil {
			return err
		}
		h.jobs.free(in, busy)
	default:
		return fmt.Errorf("%w: type %d after the cut", transfer.ErrRecord, rec.Type)
	}
	return nil
}

// late queues an answer that the old process owed, or sends it after a client that has
// moved on.
func (in *incoming) late(v *transfer.Late) {
	h, code := in.hub, shared.CodeNoSuchEntity
	if c := in.clients[v.Client]; c != nil {
		p := h.newPayload(slices.Clone(v.Framed))
		code = c.put(item{p: p}, classAnswer, 0)
		h.release(p)
		c.flush()
	}
	if code != shared.CodeNone {
		h.page.Drop(code, 1)
	}
}

// maxPart bounds one message of a rest: as text, the largest may take six times as much.
const maxPart = 8 * shared.MaxMessageBytes

// rest collects what is to be written to a client before all else, and lets it go on
// when that is complete.
func (in *incoming) rest(r *transfer.Rest) error {
	s := in.sleepers[r.Client]
	if s == nil {
		return fmt.Errorf("%w: rest for client %d, which was not moved or has all", transfer.ErrRecord, r.Client)
	}
	if s.client.w == nil && len(r.Pieces) > 0 {
		return fmt.Errorf("%w: rest with output for client %d, which cannot be answered", transfer.ErrRecord, r.Client)
	}
	for _, p := range r.Pieces {
		s.part = append(s.part, p.Bytes...)
		if len(s.part) > maxPart {
			return fmt.Errorf("%w: rest of client %d has a message of over %d bytes", transfer.ErrRecord, r.Client, maxPart)
		}
		if p.Continues {
			continue
		}
		it := item{p: in.hub.newPayload(s.part), own: p.Answer}
		in.hub.items.Add(1)
		in.hub.queued.Add(itemCost)
		if p.Item != 0 {
			it.owed = &owed{remote: in, number: p.Item}
		}
		s.items, s.part = append(s.items, it), nil
	}
	if r.Last {
		in.mu.Lock()
		delete(in.sleepers, r.Client)
		in.mu.Unlock()
		if s.goOn(r); len(in.sleepers) == 0 {
			in.allHere()
		}
	}
	return nil
}

var errGone = errors.New("the client ended while it moved")

// goOn lets a client be written to, and read.
func (s *sleeper) goOn(r *transfer.Rest) {
	c := s.client
	var resume []uint16
	c.mu.Lock()
	c.held = false
	closed := c.closed
	if !closed {
		c.out.prepend(s.items)
		c.push.takeOver(time.Now(), time.Duration(r.Budget)*time.Millisecond, r.Paused)
		resume = c.push.relieved(c.out.bytes, c.hub.cfg.Params.Limits.ClientQueueBytes)
	}
	c.mu.Unlock()
	if closed {
		s.fail(shared.CodeNoSuchEntity)
		return
	}
	c.hub.resume(c, resume)
	c.write(false)
	if r.Gone {
		c.Retire(errGone)
		return
	}
	c.awaken(s.resume)
}

// fail ends the items of a rest that is not written.
func (s *sleeper) fail(code shared.Code) {
	for i := range s.items {
		s.client.hub.failItem(&s.items[i], code)
	}
	s.items = nil
}

// ended reports to the old process what became of an item.
func (in *incoming) ended(number uint64, code shared.Code) {
	in.conn.Put(-1, func(dst []byte) []byte { return transfer.AppendEnded(dst, transfer.Ended{Item: number, Code: code}) })
}

var errLost = errors.New("the process that the client was in ended before it had handed over all")

// leftBehind ends the clients whose rest did not come.
func (in *incoming) leftBehind() {
	in.mu.Lock()
	sleepers := in.sleepers
	in.sleepers = nil
	in.mu.Unlock()
	for _, s := range sleepers {
		s.fail(shared.CodeProcessLost)
		s.client.mu.Lock()
		s.client.held = false
		s.client.mu.Unlock()
		s.client.end(errLost)
	}
	in.hub.relay.Flush()
}
