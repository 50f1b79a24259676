package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

const (
	// pauseExpires is when a pause that was not renewed is forgotten.
	pauseExpires = 2 * time.Second
	// maxPauses bounds the queues that can pause this process at a time.
	maxPauses = 1 << 16
)

// target is a queue elsewhere: a client's, or that of a service's handler for one sender.
type target struct {
	kind    wire.Kind // KindClient or KindService
	service int64
	client  shared.ClientID // the sender, for a service
}

// targetOf is the queue that a direct message goes into.
func targetOf(m *wire.Message) target {
	if m.Kind == wire.KindClient {
		return target{kind: wire.KindClient, client: shared.ClientID(m.EntityID)}
	}
	return target{wire.KindService, m.EntityID, shared.ClientID(m.FromID)}
}

// paused is a queue elsewhere that is full.
type paused struct {
	until   time.Time // how long a source may be held back for it
	expires time.Time
	over    chan struct{} // closed when it takes messages again
}

// pauses holds who must not be written to at the moment.
type pauses struct {
	count atomic.Int32 // spares the lock while nobody is paused
	mu    sync.Mutex
	m     map[target]*paused
}

// acquire waits until the queue takes messages, as long as its budget and w allow.
func (p *pauses) acquire(id target, w *wait) shared.Code {
	for p.count.Load() > 0 {
		now := time.Now()
		p.mu.Lock()
		e := p.m[id]
		if e == nil || !now.Before(e.expires) {
			p.mu.Unlock()
			return shared.CodeNone
		}
		until, over := e.until, e.over
		p.mu.Unlock()
		if !w.can || w.at(over, until) != waitReady {
			return shared.CodeOverloaded
		}
	}
	return shared.CodeNone
}

func (p *pauses) set(id target, budget uint32, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.m[id]
	if e == nil {
		if len(p.m) >= maxPauses {
			return
		}
		if p.m == nil {
			p.m = map[target]*paused{}
		}
		e = &paused{over: make(chan struct{})}
		p.m[id] = e
		p.count.Add(1)
	}
	e.until = now.Add(time.Duration(budget) * time.Millisecond)
	e.expires = now.Add(pauseExpires)
}

func (p *pauses) clear(id target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked(id)
}

func (p *pauses) clearLocked(id target) {
	if e := p.m[id]; e != nil {
		close(e.over)
		delete(p.m, id)
		p.count.Add(-1)
	}
}

// sweep forgets what was not renewed and reports whether there is any left.
func (p *pauses) sweep(now time.Time) (more bool) {
	if p.count.Load() == 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, e := range p.m {
		if !now.Before(e.expires) {
			p.clearLocked(id)
		}
	}
	return len(p.m) > 0
}

// OnPause takes a pause or a resume.
func (h *Hub) OnPause(f wire.Pause, paused bool) {
	h.pause(target{kind: wire.KindClient, client: f.Client}, f.Budget, paused)
}

// OnPauseSender takes a pause or a resume of one sender to a service.
func (h *Hub) OnPauseSender(f wire.SenderPause, paused bool) {
	h.pause(target{wire.KindService, f.Service, f.Client}, f.Budget, paused)
}

func (h *Hub) pause(id target, budget uint32, paused bool) {
	if !paused {
		h.pauses.clear(id)
		return
	}
	h.pauses.set(id, budget, time.Now())
	h.clock.arm()
}
