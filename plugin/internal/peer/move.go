package peer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// move is a move of clients from one process to another.
type move struct {
	from, to *link
	conns    [2]*net.UnixConn // of from and to
	paired   chan struct{}    // closed when both are there
	over     chan struct{}    // closed when they are not to wait for each other
	closed   bool
	pumps    sync.WaitGroup
}

// close ends the transfer. The manager's lock is held.
func (v *move) close() {
	if v.closed {
		return
	}
	v.closed = true
	close(v.over)
	for _, c := range v.conns {
		if c != nil {
			c.Close()
		}
	}
}

// Replace moves everything from a process to its successor, the second link that came
// for it, and returns when the cut has happened.
func (m *Manager) Replace(ctx context.Context, process uint16) error {
	m.mu.Lock()
	from, to := m.links[process], m.next[process]
	m.mu.Unlock()
	return m.move(ctx, from, to, wire.MoveOut{Scope: wire.ScopeAll}, func() {
		m.links[process] = to
		delete(m.next, process)
	})
}

// Merge moves everything from a process to a sibling of its service.
func (m *Manager) Merge(ctx context.Context, from, to uint16) error {
	m.mu.Lock()
	a, b := m.links[from], m.links[to]
	m.mu.Unlock()
	return m.move(ctx, a, b, wire.MoveOut{Scope: wire.ScopeAll}, func() { m.hosts[from] = b })
}

// MoveSlots moves the clients of some slots, which are ids, to a sibling.
func (m *Manager) MoveSlots(ctx context.Context, from, to uint16, slots uint64, ids ...shared.ClientID) error {
	m.mu.Lock()
	a, b := m.links[from], m.links[to]
	m.mu.Unlock()
	return m.move(ctx, a, b, wire.MoveOut{Scope: wire.ScopeSlots, Slots: slots}, func() {
		for _, id := range ids {
			m.moved[id] = b
		}
	})
}

func (m *Manager) move(ctx context.Context, from, to *link, out wire.MoveOut, cut func()) error {
	if from == nil || to == nil {
		return fmt.Errorf("move clients: a process has no link")
	}
	m.mu.Lock()
	m.token++
	out.Move = m.token
	v := &move{from: from, to: to, paired: make(chan struct{}), over: make(chan struct{})}
	v.pumps.Add(2)
	m.moves[out.Move] = v
	m.mu.Unlock()
	to.control(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveIn, out.Move) })
	from.control(func(dst []byte) []byte { return wire.AppendMoveOut(dst, &out) })
	m.flush()
	err := m.ready(ctx, from, to)
	verdict := wire.TypeMoveCut
	if err != nil {
		verdict = wire.TypeMoveAbort
	}
	m.mu.Lock()
	for _, l := range []*link{from, to} {
		l.control(func(dst []byte) []byte { return wire.AppendMove(dst, verdict, out.Move) })
	}
	if err == nil {
		cut()
	} else {
		v.close()
	}
	m.mu.Unlock()
	m.flush()
	return err
}

func (m *Manager) ready(ctx context.Context, from, to *link) error {
	for _, l := range []*link{from, to} {
		select {
		case <-l.ready:
		case <-from.aborted:
			return fmt.Errorf("process %d gave the move up", from.process)
		case <-to.aborted:
			return fmt.Errorf("process %d does not take the clients", to.process)
		case <-ctx.Done():
			return fmt.Errorf("wait for the processes to be ready to move: %w", ctx.Err())
		}
	}
	return nil
}

// transfer pumps a transfer connection into that of the other side, and what that says
// back.
func (m *Manager) transfer(conn *net.UnixConn, body []byte) {
	var t wire.Transfer
	if t.Parse(body) != nil || !bytes.Equal(t.Secret[:], m.Secret[:]) {
		return
	}
	m.mu.Lock()
	v := m.moves[t.Move]
	if v == nil || v.closed || m.closed {
		m.mu.Unlock()
		return
	}
	side := 0
	if t.Process == v.to.process && t.Generation == v.to.generation {
		side = 1
	}
	v.conns[side] = conn
	if v.conns[0] != nil && v.conns[1] != nil {
		close(v.paired)
	}
	m.mu.Unlock()
	select {
	case <-v.paired:
	case <-v.over:
		return
	}
	pump(v.conns[1-side], conn)
	v.pumps.Done()
	v.pumps.Wait() // conn carries what the other side says, too
}

// pump copies bytes and descriptors from one connection to the other, up to its end.
func pump(to, from *net.UnixConn) {
	defer to.CloseWrite()
	b, oob := make([]byte, 64<<10), make([]byte, 256)
	for {
		n, oobn, _, _, err := from.ReadMsgUnix(b, oob)
		if err != nil || n == 0 {
			return
		}
		w, _, err := to.WriteMsgUnix(b[:n], oob[:oobn], nil)
		if err == nil && w < n {
			_, err = to.Write(b[w:n])
		}
		closeRights(oob[:oobn])
		if err != nil {
			return
		}
	}
}

func closeRights(oob []byte) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i])
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}
