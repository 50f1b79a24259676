package hub

import (
	"errors"
	"fmt"
	"sync"

	"github.com/antano/antano/shared"
)

// ErrWouldBlock is plugin.ErrWouldBlock.
var ErrWouldBlock = errors.New("would block")

const (
	batchMessages = 512
	batchBytes    = 256 << 10
	// flushRounds is how many batches one flush writes before it leaves a busy
	// client to a goroutine of its own.
	flushRounds = 16
)

// ending is an item that left a queue and why.
type ending struct {
	it   item
	code shared.Code
}

// scratch is what one flush needs.
type scratch struct {
	bufs   [][]byte
	ended  []ending
	resume []uint16
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// flush writes what is queued without waiting; a goroutine goes on where the writer
// would block.
func (c *Client) flush() {
	c.mu.Lock()
	if c.out.writing || c.moved != nil || c.out.len() == 0 {
		c.mu.Unlock()
		return
	}
	c.out.writing = true
	c.mu.Unlock()
	c.write(false)
}

// write owns the Writer until the queue is empty or the client is gone.
func (c *Client) write(wait bool) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for round := 0; c.gather(s, wait); round++ {
		if !wait && round == flushRounds {
			c.leave()
			return
		}
		n, err := c.callWrite(s.bufs, wait)
		blocked := errors.Is(err, ErrWouldBlock) && (!wait || c.hasMoved())
		if blocked {
			err = nil
		}
		if err = c.wrote(s, n, err, blocked); err != nil {
			c.abandon(s, err)
			return
		}
		if blocked && !wait {
			c.leave()
			return
		}
	}
	c.endRetired()
}

// callWrite asks the Writer. A panic there is not one message's: what it had written is not
// known, so the client ends.
func (c *Client) callWrite(messages [][]byte, wait bool) (n int, err error) {
	var panicked error
	defer func() {
		if panicked != nil {
			n, err = 0, fmt.Errorf("write to the client: %v", panicked)
		}
	}()
	defer c.recovered("Writer.Write", &panicked)
	return c.w.Write(messages, wait)
}

// hasMoved reports whether what is queued goes to the client's next process.
func (c *Client) hasMoved() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved != nil
}

// leave hands the Writer on to a goroutine that waits.
func (c *Client) leave() {
	c.mu.Lock()
	c.out.inflight = 0
	c.mu.Unlock()
	if !c.hub.spawn(func() { c.write(true); c.hub.relay.Flush() }) {
		c.abandon(&scratch{}, errStopped)
	}
}

// abandon ends a client whose Writer is broken.
func (c *Client) abandon(s *scratch, cause error) {
	c.mu.Lock()
	c.out.inflight = 0
	s.ended = s.ended[:0]
	for c.out.len() > 0 {
		s.ended = append(s.ended, ending{c.out.pop(), shared.CodeNoSuchEntity})
	}
	c.mu.Unlock()
	c.hub.settle(c, s)
	c.end(cause)
	c.mu.Lock()
	c.out.release()
	c.mu.Unlock()
}

// gather takes the next batch, and gives the Writer back when there is none. An empty
// message goes alone: in a batch nobody could say whether it was written. A Write that
// waits does not get what stands above the bound, which may still be dropped.
func (c *Client) gather(s *scratch, wait bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.bufs = s.bufs[:0]
	o := &c.out
	if o.len() == 0 || c.moved != nil {
		o.release()
		return false
	}
	most := batchBytes
	if wait {
		most = min(most, c.hub.cfg.Params.Limits.ClientQueueBytes)
	}
	size := 0
	for i := o.head; i < len(o.items) && len(s.bufs) < batchMessages; i++ {
		if size += o.items[i].cost(); size > most && i > o.head {
			break
		}
		data := o.items[i].p.data
		if len(data) == 0 && len(s.bufs) > 0 {
			break
		}
		empty := len(data) == 0
		if i == o.head {
			data = data[o.offset:]
		}
		s.bufs = append(s.bufs, data)
		if empty {
			break
		}
	}
	o.inflight = len(s.bufs)
	return true
}

// wrote accounts for n written bytes of the batch, and for a refused message. It
// returns the error that ends the client.
func (c *Client) wrote(s *scratch, n int, err error, blocked bool) error {
	refused, isRefusal := errors.AsType[*shared.Error](err)
	if isRefusal {
		err = nil
	}
	s.ended = s.ended[:0]
	c.mu.Lock()
	o := &c.out
	batch, total, whole := o.inflight, n, 0
	o.inflight = 0
	for ; batch > 0; batch-- {
		rest := len(o.items[o.head].p.data) - o.offset
		if n < rest || rest == 0 && (blocked || isRefusal || err != nil) {
			break
		}
		n -= rest
		whole++
		if it := o.pop(); it.owed == nil {
			c.hub.forget(&it)
		} else {
			s.ended = append(s.ended, ending{it, shared.CodeNone})
		}
	}
	switch {
	case isRefusal && batch > 0:
		s.ended = append(s.ended, ending{o.pop(), refused.Code})
	case batch > 0:
		o.offset += n
	case n > 0 && err == nil:
		err = fmt.Errorf("writer took %d bytes more than it was given", n)
	}
	if err == nil && batch > 0 && !blocked && !isRefusal {
		err = errors.New("writer stopped early without a reason")
	}
	limit := c.hub.cfg.Params.Limits.ClientQueueBytes
	if c.moved == nil {
		s.resume = c.push.relieved(o.bytes, limit)
	}
	o.relieve(int(c.answersOwed.Load()), limit)
	if c.closed { // Close left to us what a Write had
		for o.len() > 0 {
			s.ended = append(s.ended, ending{o.pop(), shared.CodeNoSuchEntity})
		}
	}
	c.mu.Unlock()
	c.messagesOut.Add(uint64(whole))
	c.hub.page.Out(whole, total)
	c.hub.settle(c, s)
	return err
}

// settle tells whoever waits what became of items, and sources that there is room.
func (h *Hub) settle(c *Client, s *scratch) {
	for i := range s.ended {
		if e := &s.ended[i]; e.code == shared.CodeNone {
			h.finishItem(&e.it)
		} else {
			h.failItem(&e.it, e.code)
		}
	}
	clear(s.ended)
	h.resume(c, s.resume)
	s.resume = nil
}

func (h *Hub) finishItem(it *item) {
	h.forget(it)
	if it.owed != nil {
		it.owed.end(shared.CodeNone, 1)
	}
}

// failItem counts an item that was not delivered and reports it.
func (h *Hub) failItem(it *item, code shared.Code) {
	h.forget(it)
	h.failed(it.owed, it.from, code)
}

// failed counts one copy that was not delivered and reports it.
func (h *Hub) failed(o *owed, from source, code shared.Code) {
	h.page.Drop(code, 1)
	if o != nil {
		o.end(code, 1)
	} else {
		h.refuse(from, code)
	}
}

func (h *Hub) forget(it *item) {
	h.items.Add(-1)
	h.queued.Add(-itemCost)
	h.release(it.p)
}
