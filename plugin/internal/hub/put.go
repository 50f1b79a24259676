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
	// classAnswer is owed to the client itself and may use as much again.
	classAnswer
)

var errNoReader = errors.New("the client does not read its answers")

// put queues a message for the client and takes a reference to its payload. process
// is the source process, told to wait when a direct message meets a full queue. What
// is refused is for the caller to count and to report.
func (c *Client) put(it item, class class, process uint16) shared.Code {
	h := c.hub
	if c.w == nil {
		return shared.CodeUnsupported
	}
	c.mu.Lock()
	code, pause := c.putLocked(it, class, process)
	c.mu.Unlock()
	if pause.wanted {
		h.sendPause(c, pause)
	}
	if code == shared.CodeOverloaded && class == classAnswer && !c.ep.cfg.Datagram {
		h.spawn(func() { c.end(errNoReader) }) // not here: the caller may hold locks
	}
	return code
}

func (c *Client) putLocked(it item, class class, process uint16) (code shared.Code, p pause) {
	h, size := c.hub, itemCost+len(it.p.data)
	if c.closed {
		return shared.CodeNoSuchEntity, p
	}
	limit, all := c.hub.cfg.Params.Limits.ClientQueueBytes, int64(h.cfg.Params.Limits.ProcessQueueBytes)
	if class == classAnswer {
		limit *= 2
	}
	empty := c.out.len() == 0
	if empty || class == classAnswer {
		all *= 2 // others' full queues must not silence a client that reads
	}
	if h.queued.Load()+itemCost > all {
		return shared.CodeOverloaded, p
	}
	if !empty && c.out.bytes+size > limit {
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
