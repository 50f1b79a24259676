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
	// maxPauses bounds the clients that can pause this process at a time.
	maxPauses = 1 << 16
)

// paused is a client elsewhere whose queue is full.
type paused struct {
	until   time.Time // how long a source may be held back for it
	expires time.Time
	over    chan struct{} // closed when it takes messages again
}

// pauses holds who must not be written to at the moment.
type pauses struct {
	count atomic.Int32 // spares the lock while nobody is paused
	mu    sync.Mutex
	m     map[shared.ClientID]*paused
}

// acquire waits until the client takes messages, as long as its budget and w allow.
func (p *pauses) acquire(id shared.ClientID, w *wait) shared.Code {
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

func (p *pauses) set(f wire.Pause, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.m[f.Client]
	if e == nil {
		if len(p.m) >= maxPauses {
			return
		}
		if p.m == nil {
			p.m = map[shared.ClientID]*paused{}
		}
		e = &paused{over: make(chan struct{})}
		p.m[f.Client] = e
		p.count.Add(1)
	}
	e.until = now.Add(time.Duration(f.Budget) * time.Millisecond)
	e.expires = now.Add(pauseExpires)
}

func (p *pauses) clear(id shared.ClientID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked(id)
}

func (p *pauses) clearLocked(id shared.ClientID) {
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
	if !paused {
		h.pauses.clear(f.Client)
		return
	}
	h.pauses.set(f, time.Now())
	h.clock.arm()
}
