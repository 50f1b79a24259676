package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/antano/antano/shared/wire"
)

// What a move is bounded by: the time up to the cut, from the cut to the end of the
// transfer, and from the end of one of the two processes to that.
const (
	moveTime     = 10 * time.Second
	transferTime = 30 * time.Second
	leaveTime    = 5 * time.Second
)

var errTransferEnded = errors.New("the transfer ended before the move was ready")

// Scope says which clients move: all, or the datagram clients of some slots (bit n
// is slot n).
type Scope struct {
	All   bool
	Slots uint64
}

// The sides of a move.
const (
	sideOut = iota
	sideIn
)

// move is one hand-over of clients, from its announcement to the end of the transfer.
type move struct {
	id    uint64
	sides [2]*Link
	scope Scope

	paired  chan struct{} // both transfer connections are there
	ready   chan struct{} // and both processes said move ready
	refused chan struct{} // it cannot be; cause says why
	cut     chan struct{} // it happened
	over    chan struct{} // the transfer ended too, or the move was given up

	// Guarded by r.mu.
	conns  [2]*net.UnixConn
	said   [2]bool
	copied int // directions of the transfer that ended
	cause  error
}

// Move hands clients of from over to another process of the service and returns when
// the cut has happened: every message is either before it in from's queue or behind
// it in to's, and from then on what is for those clients goes to to. After a cut of
// all clients, from is out of its service, and to is the current start of the process
// if both are of the same one. An error means that there was no cut, both processes
// are told so, and from serves on. Move blocks for at most ten seconds beyond the
// end of other moves of the two links, or until ctx ends. What the processes have to tell
// each other after the cut goes on behind it, for at most half a minute. Source:
// docs/protocol.md "Moves".
func (r *Router) Move(ctx context.Context, from, to *Link, what Scope) error {
	m, err := r.announce(ctx, from, to, what)
	if err != nil {
		return fmt.Errorf("move clients of %s to %s: %w", from, to, err)
	}
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	if err = m.await(ctx); err == nil {
		err = r.cutOver(m)
	}
	if err != nil {
		r.giveUp(m)
		return fmt.Errorf("move clients of %s to %s: %w", from, to, err)
	}
	for _, l := range m.sides {
		l.queue.Flush()
	}
	return nil
}

// announce makes a move when neither link has a part in another one.
func (r *Router) announce(ctx context.Context, from, to *Link, what Scope) (*move, error) {
	if from == to || from.launch.Service != to.launch.Service {
		return nil, errors.New("they are not two processes of one service")
	}
	for {
		r.mu.Lock()
		before := from.move
		if before == nil {
			before = to.move
		}
		up := from.state == stateUp && to.state == stateUp
		if up && before == nil {
			r.lastMove++
			m := &move{id: r.lastMove, sides: [2]*Link{from, to}, scope: what, paired: make(chan struct{}), ready: make(chan struct{}),
				refused: make(chan struct{}), cut: make(chan struct{}), over: make(chan struct{})}
			r.moves[m.id], from.move, to.move = m, m, m
			r.mu.Unlock()
			return m, nil
		}
		r.mu.Unlock()
		if !up {
			return nil, ErrDown
		}
		select {
		case <-before.over:
		case <-ctx.Done():
			return nil, fmt.Errorf("one of them has a part in another move: %w", ctx.Err())
		}
	}
}

// await asks both processes and waits until they are ready.
func (m *move) await(ctx context.Context) error {
	out := wire.MoveOut{Move: m.id, Scope: wire.ScopeAll}
	if !m.scope.All {
		out.Scope, out.Slots = wire.ScopeSlots, m.scope.Slots
	}
	if err := m.sides[sideIn].request(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveIn, m.id) }); err != nil {
		return err
	}
	if err := m.sides[sideOut].request(func(dst []byte) []byte { return wire.AppendMoveOut(dst, &out) }); err != nil {
		return err
	}
	select {
	case <-m.ready:
		return nil
	case <-m.refused:
		return m.cause
	case <-m.sides[sideOut].down:
		return fmt.Errorf("%w: %s", ErrDown, m.sides[sideOut])
	case <-m.sides[sideIn].down:
		return fmt.Errorf("%w: %s", ErrDown, m.sides[sideIn])
	case <-ctx.Done():
		return fmt.Errorf("they were not ready in time: %w", ctx.Err())
	}
}

// giveUp ends a move without a cut and tells both processes.
func (r *Router) giveUp(m *move) {
	for _, l := range m.sides {
		_ = l.request(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveAbort, m.id) }) // or it is gone
	}
	r.finish(m)
}

// finish ends the part of both links in a move, and its transfer.
func (r *Router) finish(m *move) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moves[m.id] != m {
		return
	}
	delete(r.moves, m.id)
	for _, l := range m.sides {
		l.move = nil
	}
	close(m.over)
}

// side returns which part l has in m.
func (m *move) side(l *Link) (side int, ok bool) {
	switch {
	case m == nil:
		return 0, false
	case m.sides[sideOut] == l:
		return sideOut, true
	}
	return sideIn, m.sides[sideIn] == l
}

// advance notices that all is there that a cut needs. It is called once for each
// thing that came. r.mu is held.
func (m *move) advance() {
	if m.conns[sideOut] == nil || m.conns[sideIn] == nil {
		return
	}
	if m.said[sideOut] && m.said[sideIn] {
		close(m.ready)
	}
}

// refuse notes the first reason why there can be no cut. r.mu is held.
func (m *move) refuse(cause error) {
	if m.cause == nil {
		m.cause = cause
		close(m.refused)
	}
}

// moveReady handles move ready: what l sent before is routed.
func (l *Link) moveReady(body []byte) error {
	return l.ofMove(body, func(m *move, side int) bool {
		if m.said[side] {
			return false
		}
		m.said[side] = true
		m.advance()
		return true
	})
}

// moveAbort handles the abort of a process that cannot hand over or take.
func (l *Link) moveAbort(body []byte) error {
	return l.ofMove(body, func(m *move, _ int) bool {
		m.refuse(fmt.Errorf("%s cannot", l))
		return true
	})
}

// ofMove calls handle, with r.mu held, for a frame of a move that l has a part in.
// What comes for another, such as one that was given up, is ignored.
func (l *Link) ofMove(body []byte, handle func(m *move, side int) bool) error {
	id, err := wire.ParseU64(body)
	if err != nil {
		return err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	m := l.r.moves[id]
	if side, ok := m.side(l); !ok || !handle(m, side) {
		l.counters.strays.Add(1)
	}
	return nil
}
