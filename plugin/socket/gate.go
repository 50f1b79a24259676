package socket

import (
	"sync"
	"sync/atomic"
)

// gate stops a loop between two of its rounds and lets it go on, for a move. wanted,
// stop and end are for the loop's goroutine; the rest is safe for concurrent use. Who
// asks also interrupts what the loop waits for, after asking.
type gate struct {
	asked atomic.Bool // changed under mu alone

	mu       sync.Mutex
	standing bool          // the loop waits in stop
	ended    bool          // the loop does not stop any more
	stopped  chan struct{} // of the last ask: closed when the loop stands or has ended
	opened   chan struct{} // of the last ask: closed when the loop may go on
}

// ask wants the loop to stop. stopped is closed when it stands or has ended; it is nil
// when somebody has asked before.
func (g *gate) ask() (stopped <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked.Load() {
		return nil
	}
	g.asked.Store(true)
	g.stopped, g.opened = make(chan struct{}), make(chan struct{})
	if g.ended {
		close(g.stopped)
	}
	return g.stopped
}

// stands reports whether the loop has stopped.
func (g *gate) stands() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked.Load() && g.standing
}

// open lets the loop go on, or takes back what was asked.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked.Swap(false) {
		g.standing = false
		close(g.opened)
	}
}

// wanted reports whether the loop is to stop.
func (g *gate) wanted() bool { return g.asked.Load() }

// stop returns when the gate is open.
func (g *gate) stop() {
	g.mu.Lock()
	if !g.asked.Load() {
		g.mu.Unlock()
		return
	}
	g.standing = true
	close(g.stopped)
	opened := g.opened
	g.mu.Unlock()
	<-opened
}

// end says that the loop does not stop any more.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended = true
	if g.asked.Load() && !g.standing {
		close(g.stopped)
	}
}
