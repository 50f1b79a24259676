package hub

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// pending is something sent over the link whose result somebody waits for: a client
// (client), a join (group) or PassThroughMessage (wait).
type pending struct {
	client *Client
	id     []byte
	group  *group
	wait   chan<- wire.Result // room for one
}

// pendingCost is what an entry costs beside its id.
const pendingCost = 128

// noSlot ends a list of slots.
const noSlot = -1

type pendingSlot struct {
	pending
	due        time.Time
	check      uint32 // of the token that is valid, 0 while the slot is free
	prev, next int32  // in the list by age; next also in the free list
}

// pendings is the table of open tokens. A token is the slot's index and a check that
// changes with every use, so that a result that is late or forged finds nothing.
type pendings struct {
	mu             sync.Mutex
	slots          []pendingSlot
	free           int32
	oldest, newest int32
	check          uint32
	count          int
	bytes, limit   int
}

func (t *pendings) init(limit int) {
	t.free, t.oldest, t.newest = noSlot, noSlot, noSlot
	t.limit = limit
	t.check = rand.Uint32()
}

// add opens a token, never 0; false when the table is full.
func (t *pendings) add(p pending, now time.Time) (uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	cost := pendingCost + len(p.id)
	if t.bytes+cost > t.limit {
		return 0, false
	}
	i := t.free
	if i == noSlot {
		t.slots = append(t.slots, pendingSlot{})
		i = int32(len(t.slots) - 1)
	} else {
		t.free = t.slots[i].next
	}
	if t.check++; t.check == 0 {
		t.check = 1
	}
	t.slots[i] = pendingSlot{pending: p, due: now.Add(answerAfter), check: t.check, prev: t.newest, next: noSlot}
	if t.newest == noSlot {
		t.oldest = i
	} else {
		t.slots[t.newest].next = i
	}
	t.newest = i
	t.count++
	t.bytes += cost
	return uint64(t.check)<<32 | uint64(i), true
}

// take closes a token and returns what it stood for.
func (t *pendings) take(token uint64) (pending, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, check := token&0xFFFFFFFF, uint32(token>>32)
	if i >= uint64(len(t.slots)) || check == 0 || t.slots[i].check != check {
		return pending{}, false
	}
	return t.removeLocked(int32(i)), true
}

// overdue closes the oldest token if its time has come; more says whether any is open.
func (t *pendings) overdue(now time.Time) (p pending, ok, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oldest == noSlot {
		return p, false, false
	}
	if now.Before(t.slots[t.oldest].due) {
		return p, false, true
	}
	return t.removeLocked(t.oldest), true, true
}

func (t *pendings) removeLocked(i int32) pending {
	s := &t.slots[i]
	if s.prev == noSlot {
		t.oldest = s.next
	} else {
		t.slots[s.prev].next = s.next
	}
	if s.next == noSlot {
		t.newest = s.prev
	} else {
		t.slots[s.next].prev = s.prev
	}
	p := s.pending
	*s = pendingSlot{next: t.free}
	t.free = i
	t.count--
	t.bytes -= pendingCost + len(p.id)
	if t.count == 0 && len(t.slots) > 4096 { // a burst must not cost its size for ever
		t.slots, t.free = nil, noSlot
	}
	return p
}

func (t *pendings) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// OnResult takes what became of something that this process sent.
func (h *Hub) OnResult(r *wire.Result) {
	if p, ok := h.pending.take(r.Token); ok {
		h.resolve(&p, r, h.mark)
	}
}

// resolve answers whoever waits. ready is told which clients got output.
func (h *Hub) resolve(p *pending, r *wire.Result, ready func(*Client)) {
	switch {
	case p.wait != nil:
		p.wait <- *r
	case p.group != nil:
		h.subscribed(p.group, r, ready)
	default:
		p.client.answerResult(p.id, r)
		p.client.settleAnswer()
		ready(p.client)
	}
}

// sweepPending answers what has waited too long.
func (h *Hub) sweepPending(now time.Time) (more bool) {
	for {
		p, ok, more := h.pending.overdue(now)
		if !ok {
			return more
		}
		var r wire.Result
		r.Fail(shared.CodeTimeout, 1)
		h.page.Drop(shared.CodeTimeout, 1)
		h.resolve(&p, &r, (*Client).flush)
	}
}

// mark notes that a client has output to be written when the link runs dry.
func (h *Hub) mark(c *Client) {
	if !c.dirty {
		c.dirty = true
		h.dirty = append(h.dirty, c)
	}
}

// OnDry writes what the frames that have arrived produced.
func (h *Hub) OnDry() {
	h.flushDirty()
	h.relay.Flush()
}

// flushDirty writes the output of all marked clients.
func (h *Hub) flushDirty() {
	for i, c := range h.dirty {
		c.dirty = false
		c.flush()
		h.dirty[i] = nil
	}
	h.dirty = h.dirty[:0]
}
