package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared/wire"
)

// outgoing is a move of clients to another process. Up to the cut it can be undone.
type outgoing struct {
	hub     *Hub
	id      uint64
	scope   wire.Scope
	slots   uint64
	ctx     context.Context // ends with the move
	cancel  context.CancelFunc
	verdict *verdict
	decided chan struct{} // closed when the clients have left, or stay
	once    sync.Once     // for decided
	conn    *transfer.Conn
	stopped bool // the transport was asked to stop reading; run's

	mu     sync.Mutex
	given  []*Client
	ready  bool
	heard  chan struct{}    // closed when it says nothing more
	items  map[uint64]*item // output in its hands that somebody waits for
	number uint64           // of the last one
}

func newOutgoing(h *Hub, f wire.MoveOut) *outgoing {
	m := &outgoing{hub: h, id: f.Move, scope: f.Scope, slots: f.Slots, verdict: newVerdict(), decided: make(chan struct{}), items: map[uint64]*item{}, heard: make(chan struct{})}
	if m.scope == wire.ScopeAll {
		m.slots = AllSlots
	}
	m.ctx, m.cancel = context.WithCancel(h.ctx)
	return m
}

func (m *outgoing) forget() {
	m.cancel()
	m.setDecided()
	m.hub.moves.mu.Lock()
	defer m.hub.moves.mu.Unlock()
	delete(m.hub.moves.out, m.id)
}

func (m *outgoing) setDecided() { m.once.Do(func() { close(m.decided) }) }

// abort and cut are called by the link's reader.
func (m *outgoing) abort() {
	m.mu.Lock()
	ready := m.ready
	m.mu.Unlock()
	m.verdict.abort()
	if !ready {
		m.cancel()
	}
}

// run owns the move.
func (m *outgoing) run() {
	h := m.hub
	defer m.forget()
	defer func() {
		if m.conn != nil {
			m.conn.Close()
			m.conn.Discard()
		}
	}()
	ctx, cancel := context.WithTimeout(m.ctx, moveWithin)
	defer cancel()
	if takeTurn(ctx, h.moves.outTurn) != nil {
		h.tellMove(wire.TypeMoveAbort, m.id)
		return
	}
	cut, err := m.handOver(ctx)
	if !cut {
		m.back()
	}
	<-h.moves.outTurn
	switch {
	case cut:
		m.settle()
	case err != nil && h.ctx.Err() == nil:
		h.log.Warn("clients were not handed over: they stay", "move", m.id, "err", err)
	}
}

// handOver gives the clients to the other process and waits for the manager's decision:
// once this process is ready, only the manager knows what holds for the clients.
func (m *outgoing) handOver(ctx context.Context) (cut bool, err error) {
	h := m.hub
	if err := m.prepare(ctx); err != nil {
		h.tellMove(wire.TypeMoveAbort, m.id)
		return false, err
	}
	m.mu.Lock()
	m.ready = true
	m.mu.Unlock()
	h.tellMove(wire.TypeMoveReady, m.id)
	if cut = m.verdict.await(m.ctx); !cut {
		err = errAborted
	}
	return cut, err
}

func (m *outgoing) prepare(ctx context.Context) (err error) {
	h := m.hub
	all := m.scope == wire.ScopeAll
	if h.cfg.Dial == nil || h.cfg.Transport == nil && !all {
		return errNoHandover
	}
	if m.conn, err = h.cfg.Dial(ctx, m.id); err != nil {
		return err
	}
	if err := h.moves.arrived(ctx); err != nil {
		return fmt.Errorf("wait for clients that are arriving: %w", err)
	}
	if all {
		h.page.Serve(false)
		h.moves.leave()
	}
	if h.cfg.Transport != nil {
		m.stopped = true
		if err := h.cfg.Transport.MoveOut(ctx, m.slots, m.give); err != nil {
			return fmt.Errorf("stop reading the clients: %w", err)
		}
	}
	if all && !h.depart() {
		return errNoHandover
	}
	m.mu.Lock()
	end := transfer.End{Scope: m.scope, Count: uint32(len(m.given))}
	m.mu.Unlock()
	if all {
		end.Ranges = h.relay.Ranges()
	}
	return m.conn.Put(-1, func(dst []byte) []byte { return transfer.AppendEnd(dst, &end) })
}

// depart takes no new clients from here on, and reports false when there are some that
// nobody can hand over.
func (h *Hub) depart() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = true
	return h.cfg.Transport != nil || len(h.clients) == 0
}

// back undoes what handOver did.
func (m *outgoing) back() {
	h := m.hub
	if m.scope == wire.ScopeAll {
		h.mu.Lock()
		h.left = false
		draining := h.draining
		h.mu.Unlock()
		h.moves.stay()
		if !draining {
			h.page.Serve(true)
		}
	}
	if m.stopped && h.ctx.Err() == nil { // else the transport would undo the move before this one
		h.cfg.Transport.MoveBack()
	}
}

// errUnknown: with some slots go the clients that the manager knows to be on them.
var errUnknown = errors.New("the manager does not keep the client: it stays")

var errEnding = errors.New("the client is ending: it stays")

// give sends one client to the other process.
func (m *outgoing) give(c *Client, state []byte, fd int) error {
	if err := m.conn.Room(m.ctx); err != nil {
		return fmt.Errorf("hand over client %d: %w", c.id, err)
	}
	if c.isRetired() || c.isClosed() {
		return errEnding
	}
	if m.scope == wire.ScopeSlots && !c.kept.Load() {
		return errUnknown
	}
	v := transfer.Client{
		Descriptor: fd >= 0, ID: c.id, Connected: c.connected.UnixNano(), Received: c.received.Load(),
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(), Address: c.address, Groups: m.hub.joinedGroups(c), State: state,
	}
	if n := v.Size(); n > transfer.MaxRecord {
		return fmt.Errorf("hand over client %d: its state takes %d bytes, the bound is %d: it stays", c.id, n, transfer.MaxRecord)
	}
	if fd >= 0 {
		var err error
		if fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return fmt.Errorf("hand over client %d: duplicate its descriptor: %w", c.id, err)
		}
	}
	if err := m.conn.Put(fd, func(dst []byte) []byte { return transfer.AppendClient(dst, &v) }); err != nil {
		return fmt.Errorf("hand over client %d: %w", c.id, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given = append(m.given, c)
	return nil
}

// settle gives the other process what was not written, and waits until nothing is owed
// here any more.
func (m *outgoing) settle() {
	h := m.hub
	ctx, cancel := context.WithTimeout(m.ctx, settleWithin)
	defer cancel()
	if !h.spawn(m.listen) {
		return
	}
	m.idle(nil)
	for _, c := range m.given {
		m.interrupt(c)
	}
	for _, c := range m.given {
		m.release(ctx, c)
	}
	h.relay.Flush()
	m.await(ctx)
	m.conn.Put(-1, transfer.AppendDone)
	m.conn.Finish()
	closing, cancel := context.WithTimeout(m.ctx, closeWithin)
	defer cancel()
	select {
	case <-m.heard:
	case <-closing.Done():
	}
	m.cancelItems()
}
