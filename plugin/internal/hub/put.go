package hub

import (
	"errors"
	"time"

	"github.com/antano/antano/shared"
)

// class says what a message may do at a queue that is full.
type class uint8

const (
	// classCopy is dropped: a copy of a group message, or from a datagram source.
	classCopy class = iota
	// classDirect pushes back on its source first.
	classDirect
	// classAnswer is owed to the client itself and has a room of its own.
	classAnswer
)

// tryPut is put of a copy for a caller that holds locks.
func (c *Client) tryPut(it item) shared.Code {
	if c.w == nil {
		return shared.CodeUnsupported
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	code, _ := c.putLocked(it, classCopy, 0)
	return code
}

var errNoReader = errors.New("the client does not read its answers")

// put queues a message for the client and takes a reference to its payload. process
// is the source process, told to wait when a direct message meets a full queue. A queue
// that is full only because nobody has written it yet is written first, so no lock may
// be held. What is refused is for the caller to count and to report.
func (c *Client) put(it item, class class, process uint16) shared.Code {
	h := c.hub
	if c.w == nil {
		return shared.CodeUnsupported
	}
	it.own = class == classAnswer
	c.mu.Lock()
	if c.out.full(&it, h.cfg.Params.Limits.ClientQueueBytes) && !c.out.writing {
		c.mu.Unlock()
		c.flush()
		c.mu.Lock()
	}
	code, pause := c.putLocked(it, class, process)
	c.mu.Unlock()
	if pause.wanted {
		h.sendPause(c, pause)
	}
	if code == shared.CodeOverloaded && class == classAnswer && !c.ep.cfg.Datagram {
		c.end(errNoReader)
	}
	return code
}

func (c *Client) putLocked(it item, class class, process uint16) (code shared.Code, p pause) {
	h := c.hub
	if c.moved != nil {
		return c.moved.late(c, &it), p
	}
	if c.closed {
		return shared.CodeNoSuchEntity, p
	}
	all := int64(h.cfg.Params.Limits.ProcessQueueBytes)
	if c.out.len() == 0 || class == classAnswer {
		all *= 2 // others' full queues must not silence a client that reads
	}
	if h.queued.Load()+itemCost > all {
		return shared.CodeOverloaded, p
	}
	if c.out.full(&it, h.cfg.Params.Limits.ClientQueueBytes) {
		if class != classDirect {
			return shared.CodeOverloaded, p
		}
		now := time.Now()
		var budget time.Duration
		budget, p = c.push.meet(now, h.cfg.PushBack, process)
		if budget <= 0 {
			return shared.CodeOverloaded, p
		}
		it.over = true
		h.pushed.add(c)
		h.clock.arm()
	}
	it.p.refs.Add(1)
	h.items.Add(1)
	h.queued.Add(itemCost)
	c.out.append(it)
	return shared.CodeNone, p
}
