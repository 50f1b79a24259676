package relay

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared/wire"
)

// ErrDown is wrapped by what needs a link that is not up.
var ErrDown = errors.New("relay link is not up")

var (
	errClosed     = errors.New("link closed by the manager")
	errNotReading = errors.New("process does not read its relay link")
)

// lingerTime is how long a link whose process is gone is still read, so that what
// the process had written before is not lost.
const lingerTime = time.Second

// transport is one connection, so that tests need no socket.
type transport interface {
	io.Reader
	wire.Sink
	SetReadDeadline(time.Time) error
	Close() error
}

type linkState uint8

const (
	stateExpected linkState = iota
	stateUp
	stateDown
)

// Link is one start of one process as the relay sees it: expected, then up, then
// down for ever. While a process is replaced, two of its links are up: the first one
// is the current one until its clients were moved or it goes down.
type Link struct {
	r      *Router
	launch Launch
	up     chan struct{}
	down   chan struct{}

	// Guarded by r.mu.
	state    linkState
	cause    error
	pgid     int
	ready    bool
	draining bool
	move     *move // that it has a part in

	sources *registry // of its service

	// Set before up is closed, then constant.
	conn  transport
	queue *wire.Queue

	gate     sync.Mutex // its reader holds it while it handles frames
	pending  slab
	lanes    lanes
	groups   atomic.Int64 // how many it subscribes to
	alone    audience     // of groups that no other link has members of; constant
	counters counters
	acks     acks
	reader   reader // of the reading goroutine alone
	adopted  adopted

	mu      sync.Mutex // guards what follows
	health  health
	metrics metrics
	slots   slots
	hold    hold
	gift    gift
}

func (l *Link) key() launchKey { return launchKey{l.launch.Process, l.launch.Generation} }

func (l *Link) String() string {
	return fmt.Sprintf("process %d generation %d", l.launch.Process, l.launch.Generation)
}

// Admit tells which process was launched: the peer must be in its process group.
// Until then nobody is accepted for this link. pid must lead its process group.
func (l *Link) Admit(pid int) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.state != stateExpected || l.pgid != 0 {
		return
	}
	l.pgid = pid
	if l.r.families[pid] == nil {
		l.r.families[pid] = &family{}
	}
	l.r.families[pid].links++
}

// Up is closed when the process has proven itself and was welcomed.
func (l *Link) Up() <-chan struct{} { return l.up }

// Down is closed when the link is gone and everything open at the process was
// answered. A link that was up and is down never comes up again.
func (l *Link) Down() <-chan struct{} { return l.down }

// Err says why the link is down; nil while it is not. io.EOF, which it may wrap,
// means that the process closed it.
func (l *Link) Err() error {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.state != stateDown {
		return nil
	}
	return l.cause
}

// SetReady says whether the process takes messages for its service. Of two starts of
// one process the current one gets them while it takes them, else the other. Group
// and client messages go to every link that is up.
func (l *Link) SetReady(ready bool) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.ready = ready
	l.r.relist()
}

// Drain takes the process out of its service for good, whatever SetReady says
// later. Messages for its clients still reach it.
func (l *Link) Drain() {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.draining = true
	l.r.relist()
}

// Close ends the link and returns when it is down: everything open at it is
// answered process_lost, its subscriptions vanish, sources get their credit back.
// Call it once the process was reaped: what the process had written is then still
// routed. A process that lives on loses its link after a second.
func (l *Link) Close() {
	l.r.mu.Lock()
	before := l.state
	if before == stateExpected {
		l.leave(errClosed)
	}
	l.r.mu.Unlock()
	switch before {
	case stateExpected:
		close(l.down)
	case stateUp:
		l.linger(errClosed)
	}
	<-l.down
}

// leave takes the link out of all tables. r.mu is held.
func (l *Link) leave(cause error) {
	if l.state == stateUp {
		l.r.depart(l)
	}
	l.state = stateDown
	if l.cause == nil {
		l.cause = cause
	}
	if l.r.expected[l.key()] == l {
		delete(l.r.expected, l.key())
	}
	if f := l.r.families[l.pgid]; f != nil {
		if f.links--; f.links == 0 {
			delete(l.r.families, l.pgid)
		}
	}
}

// fail ends a link whose process breaks the protocol. It is called by whoever
// notices and does not wait.
func (l *Link) fail(cause error) {
	if l.blame(cause) {
		_ = l.conn.Close()
	}
}

// linger ends a link that can no longer be written to.
func (l *Link) linger(cause error) {
	if l.blame(cause) {
		_ = l.conn.SetReadDeadline(time.Now().Add(lingerTime))
	}
}

// blame notes the first cause and reports whether the link was still up.
func (l *Link) blame(cause error) bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.state == stateUp && l.cause == nil {
		l.cause = cause
	}
	return l.state == stateUp
}

// control queues a frame that must not be dropped and reports whether the link
// took it.
func (l *Link) control(encode func([]byte) []byte) bool {
	err := l.queue.PutControl(encode)
	if errors.Is(err, wire.ErrFull) {
		l.fail(errNotReading)
	}
	return err == nil
}

// request queues and flushes a frame of the manager's own.
func (l *Link) request(encode func([]byte) []byte) error {
	select {
	case <-l.up:
	default:
		return fmt.Errorf("%w: %s", ErrDown, l)
	}
	if !l.control(encode) {
		return fmt.Errorf("%w: %s", ErrDown, l)
	}
	l.queue.Flush()
	return nil
}
