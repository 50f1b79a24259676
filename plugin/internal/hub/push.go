package hub

import (
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

// renewPause is how long a source process may be told nothing new: well below the
// time after which it forgets a pause.
const renewPause = 500 * time.Millisecond

// push is the push-back that a client with a full queue exercises on those who write
// to it directly; the client's lock guards it.
type push struct {
	until   time.Time // when its budget is used up; zero: the queue is not full
	sources []pushSource
}

type pushSource struct {
	process uint16
	told    time.Time
	budget  bool // it was told that there is some left
}

// pause is a frame to send once the lock is released.
type pause struct {
	wanted  bool
	process uint16
	budget  time.Duration
}

// meet notes that a message from process met the full queue. It returns how much of
// the budget is left, and what to tell the process.
func (p *push) meet(now time.Time, pushBack time.Duration, process uint16) (time.Duration, pause) {
	if p.until.IsZero() {
		p.until = now.Add(pushBack)
	}
	budget := max(p.until.Sub(now), 0)
	s := p.source(process)
	if now.Sub(s.told) < renewPause && s.budget == (budget > 0) {
		return budget, pause{}
	}
	s.told, s.budget = now, budget > 0
	return budget, pause{true, process, budget}
}

func (p *push) source(process uint16) *pushSource {
	for i := range p.sources {
		if p.sources[i].process == process {
			return &p.sources[i]
		}
	}
	p.sources = append(p.sources, pushSource{process: process})
	return &p.sources[len(p.sources)-1]
}

// relieved returns whom to tell to go on, if the queue has come down to half.
func (p *push) relieved(bytes, limit int) []uint16 {
	if p.until.IsZero() || bytes > limit/2 {
		return nil
	}
	return p.end()
}

func (p *push) end() (processes []uint16) {
	for _, s := range p.sources {
		processes = append(processes, s.process)
	}
	*p = push{}
	return processes
}

// handOver ends the push-back here: the client's next process is to exercise it.
func (p *push) handOver(now time.Time) (budget time.Duration, processes []uint16) {
	if !p.until.IsZero() {
		budget = max(p.until.Sub(now), 0)
	}
	return budget, p.end()
}

// takeOver goes on with the push-back of the client's last process.
func (p *push) takeOver(now time.Time, budget time.Duration, processes []uint16) {
	for _, process := range processes {
		if p.until.IsZero() {
			p.until = now.Add(budget)
		}
		p.source(process)
	}
}

func (h *Hub) sendPause(c *Client, p pause) {
	frame := wire.Pause{Client: c.id, Process: p.process, Budget: uint32(p.budget.Milliseconds())}
	h.relay.Control(func(dst []byte) []byte { return wire.AppendPause(dst, wire.TypePause, &frame) })
}

func (h *Hub) resume(c *Client, processes []uint16) {
	for _, process := range processes {
		frame := wire.Pause{Client: c.id, Process: process}
		h.relay.Control(func(dst []byte) []byte { return wire.AppendPause(dst, wire.TypeResume, &frame) })
	}
}

// pushed is the set of clients that hold messages above their bound.
type pushed struct {
	mu  sync.Mutex
	set map[*Client]struct{}
}

func (p *pushed) add(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set == nil {
		p.set = map[*Client]struct{}{}
	}
	p.set[c] = struct{}{}
}

// all empties the set.
func (p *pushed) all() map[*Client]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	set := p.set
	p.set = nil
	return set
}

// sweepPushed drops what stands above the bound of clients whose budget is used up,
// and reports whether others are still within theirs.
func (h *Hub) sweepPushed(now time.Time) (more bool) {
	limit := h.cfg.Params.Limits.ClientQueueBytes
	for c := range h.pushed.all() {
		var failed []item
		c.mu.Lock()
		full := !c.push.until.IsZero() && !c.closed
		spent := full && !now.Before(c.push.until)
		if spent {
			failed = c.out.trim(limit)
		}
		c.mu.Unlock()
		for i := range failed {
			h.failItem(&failed[i], codeOverBound)
		}
		if full && !spent {
			h.pushed.add(c)
			more = true
		}
	}
	return more
}
