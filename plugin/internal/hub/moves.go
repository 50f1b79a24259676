package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/antano/antano/shared/wire"
)

// AllSlots is plugin.AllSlots.
const AllSlots = ^uint64(0)

const (
	// moveWithin bounds a move up to its cut; the manager gives it up earlier.
	moveWithin = 15 * time.Second
	// settleWithin bounds what is left of it then: no answer is owed for longer.
	settleWithin = 5 * time.Second
	// closeWithin bounds the end of the transfer connection.
	closeWithin = time.Second
)

// Transport is plugin.Handover: what carries the connections of clients that move.
type Transport interface {
	MoveOut(ctx context.Context, slots uint64, give func(c *Client, state []byte, fd int) error) error
	MoveBack()
	MoveIn(state []byte, fd int, attach func(e *Endpoint, address string, w Writer) (*Client, error)) (resume func(), err error)
}

var (
	errAborted    = errors.New("the move was given up")
	errNoHandover = errors.New("the service does not hand over its clients")
)

// moves are the moves that this process takes part in. A move belongs to a goroutine
// of its own; what the manager says of it comes from the link's reader.
type moves struct {
	outTurn, inTurn chan struct{} // held while the transport moves clients

	departure atomic.Pointer[departure]

	mu    sync.Mutex
	ended bool
	out   map[uint64]*outgoing
	in    map[uint64]*incoming
}

// departure is closed while all stream clients are stopped to be handed over.
type departure struct {
	begun chan struct{}
	is    atomic.Bool
}

func (m *moves) init() {
	m.outTurn, m.inTurn = make(chan struct{}, 1), make(chan struct{}, 1)
	m.out, m.in = map[uint64]*outgoing{}, map[uint64]*incoming{}
	m.stay()
}

// stay ends a departure, leave begins one.
func (m *moves) stay() { m.departure.Store(&departure{begun: make(chan struct{})}) }

func (m *moves) leave() {
	d := m.departure.Load()
	if !d.is.Swap(true) {
		close(d.begun)
	}
}

func (m *moves) leaving() <-chan struct{} { return m.departure.Load().begun }

func (m *moves) areLeaving() bool { return m.departure.Load().is.Load() }

// len counts the moves that are not over.
func (m *moves) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.out) + len(m.in)
}

// incoming are the moves to here that are not over.
func (m *moves) incoming() (all []*incoming) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, in := range m.in {
		all = append(all, in)
	}
	return all
}

// over reports whether moves are.
func over(all []*incoming) bool {
	for _, in := range all {
		if in.ctx.Err() == nil {
			return false
		}
	}
	return true
}

func (m *moves) find(id uint64) (*outgoing, *incoming) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out[id], m.in[id]
}

// OnMoveOut begins to hand clients over.
func (h *Hub) OnMoveOut(f wire.MoveOut) {
	m := newOutgoing(h, f)
	if !h.moves.begin(func() { h.moves.out[f.Move] = m }) || !h.spawn(m.run) {
		m.forget()
		h.tellMove(wire.TypeMoveAbort, f.Move)
	}
}

// OnMove takes what the manager says of a move. A cut takes effect before the next
// message does.
func (h *Hub) OnMove(t wire.Type, id uint64) {
	if t == wire.TypeMoveIn {
		in := newIncoming(h, id)
		if !h.moves.begin(func() { h.moves.in[id] = in }) || !h.spawn(in.run) {
			in.forget()
			h.tellMove(wire.TypeMoveAbort, id)
		}
		return
	}
	out, in := h.moves.find(id)
	switch {
	case out != nil && t == wire.TypeMoveCut:
		out.cut()
	case out != nil:
		out.abort()
	case in != nil && t == wire.TypeMoveCut:
		in.cut()
	case in != nil:
		in.abort()
	}
}

// tellMove sends the manager a frame of a move.
func (h *Hub) tellMove(t wire.Type, id uint64) {
	h.relay.Control(func(dst []byte) []byte { return wire.AppendMove(dst, t, id) })
	h.relay.Flush()
}

// decided waits until it is known of every client whether it moves.
func (m *moves) decided(ctx context.Context) {
	m.mu.Lock()
	var waits []<-chan struct{}
	for _, out := range m.out {
		waits = append(waits, out.decided)
	}
	m.mu.Unlock()
	for _, w := range waits {
		select {
		case <-w:
		case <-ctx.Done():
		}
	}
}

// abortAll gives up the moves that are not cut: the manager that would do it is gone.
func (m *moves) abortAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, out := range m.out {
		out.abort()
	}
	for _, in := range m.in {
		in.abort()
	}
}

// EndMoves gives up the moves that are not cut and takes part in no others. It returns when the
// transport moves no clients, or when ctx ends.
func (h *Hub) EndMoves(ctx context.Context) {
	h.moves.mu.Lock()
	h.moves.ended = true
	h.moves.mu.Unlock()
	h.moves.abortAll()
	if takeTurn(ctx, h.moves.outTurn) == nil {
		takeTurn(ctx, h.moves.inTurn)
	}
}

// begin registers a move; false after EndMoves.
func (m *moves) begin(register func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ended {
		register()
	}
	return !m.ended
}

// takeTurn waits until the transport moves no other clients in that direction.
func takeTurn(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
