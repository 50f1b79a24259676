package hub

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// maxLanes bounds the lanes that are remembered: addresses come from clients.
const maxLanes = 4096

// lane is what this process has in the manager's queues for one destination.
type lane struct {
	used  int
	spent bool          // push_back is used up: drop until credit comes
	more  chan struct{} // closed by credit; nil while nobody waits
}

// lanes keeps the byte window of each destination.
type lanes struct {
	mu     sync.Mutex
	window int
	m      map[wire.Lane]*lane
	last   *lane // that was found, of lastID; nil: none
	lastID wire.Lane
}

func (l *lanes) init(window int) { l.window, l.m = window, map[wire.Lane]*lane{} }

// acquire books size bytes of the lane's window, waiting for credit as long as w
// allows. One message fits in an empty window whatever its size.
func (l *lanes) acquire(id wire.Lane, size int, w *wait) shared.Code {
	for {
		l.mu.Lock()
		e := l.lane(id)
		if e == nil {
			l.mu.Unlock()
			return shared.CodeOverloaded
		}
		if e.used == 0 || e.used+size <= l.window {
			e.used += size
			l.mu.Unlock()
			return shared.CodeNone
		}
		if e.spent || !w.can {
			l.mu.Unlock()
			return shared.CodeOverloaded
		}
		if e.more == nil {
			e.more = make(chan struct{})
		}
		more := e.more
		l.mu.Unlock()
		switch w.on(more) {
		case waitEnded:
			return shared.CodeOverloaded
		case waitExpired:
			l.mu.Lock()
			if e.more == more { // no credit has come meanwhile
				e.spent = true
			}
			l.mu.Unlock()
			return shared.CodeOverloaded
		}
	}
}

// lane returns the entry for id, nil when there are too many. The lock is held.
func (l *lanes) lane(id wire.Lane) *lane {
	if l.last != nil && l.lastID == id {
		return l.last
	}
	if e, ok := l.m[id]; ok {
		l.last, l.lastID = e, id
		return e
	}
	if len(l.m) >= maxLanes {
		l.last = nil
		for k, e := range l.m { // credit comes by the quarter window: less is as good as none
			if e.more == nil && e.used < l.window/4 {
				delete(l.m, k)
			}
		}
		if len(l.m) >= maxLanes {
			return nil
		}
	}
	e := &lane{}
	l.m[id] = e
	return e
}

// give returns bytes to the lane.
func (l *lanes) give(id wire.Lane, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.m[id]
	if !ok {
		return
	}
	e.used = max(e.used-bytes, 0)
	e.spent = false
	if e.more != nil {
		close(e.more)
		e.more = nil
	} else if e.used == 0 {
		l.last = nil
		delete(l.m, id)
	}
}

// OnCredit takes back what left the manager's queues.
func (h *Hub) OnCredit(c wire.Credit) { h.lanes.give(c.Lane, int(c.Bytes)) }
