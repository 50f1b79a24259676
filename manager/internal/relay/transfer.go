package relay

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// transfer takes the transfer connection of l for a move and pumps what comes from it
// to the other one, until the transfer is over. It closes conn.
func (r *Router) transfer(ctx context.Context, conn *net.UnixConn, l *Link, id uint64) error {
	m, side, err := r.enlist(conn, l, id)
	if err != nil {
		return err
	}
	defer conn.Close()
	select {
	case <-m.paired:
	case <-m.over:
		return nil
	case <-ctx.Done():
		return nil
	}
	var copying sync.WaitGroup
	copying.Go(func() { r.copied(m, pump(m.conns[1-side], conn)) })
	r.attend(ctx, m)
	_ = conn.Close()
	copying.Wait()
	return nil
}

// enlist notes the connection of one side.
func (r *Router) enlist(conn *net.UnixConn, l *Link, id uint64) (*move, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.moves[id]
	side, ok := m.side(l)
	if !ok || m.conns[side] != nil {
		return nil, 0, fmt.Errorf("transfer connection of %s is refused: move %d does not wait for it", l, id)
	}
	m.conns[side] = conn
	if m.conns[1-side] != nil {
		close(m.paired)
	}
	m.advance()
	return m, side, nil
}

// copied notes that one direction ended. The transfer is over when both have, or
// when one broke.
func (r *Router) copied(m *move, err error) {
	r.mu.Lock()
	m.copied++
	all := m.copied == len(m.conns)
	if err == nil {
		err = errTransferEnded
	} else {
		all, err = true, fmt.Errorf("transfer: %w", err)
	}
	if all {
		m.refuse(err)
	}
	r.mu.Unlock()
	select {
	case <-m.cut:
		if all {
			r.finish(m)
		}
	default: // who waits for the move hears of it
	}
}

// attend bounds a transfer: it returns when it is over.
func (r *Router) attend(ctx context.Context, m *move) {
	cut, out, in := m.cut, m.sides[sideOut].down, m.sides[sideIn].down
	var late <-chan time.Time
	for {
		select {
		case <-m.over:
			return
		case <-cut:
			cut, late = nil, time.After(transferTime)
		case <-out:
			out, late = nil, time.After(leaveTime)
		case <-in:
			in, late = nil, time.After(leaveTime)
		case <-late:
			r.finish(m)
		case <-ctx.Done():
			r.finish(m)
		}
	}
}
