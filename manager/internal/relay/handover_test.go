package relay

import (
	"context"
	"net"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// handover is a move between two fakes, step by step.
type handover struct {
	*rig
	out, in *fake
	move    uint64
	conns   [2]*net.UnixConn
	done    chan error
}

// moving starts a move and reads its announcements.
func (g *rig) moving(ctx context.Context, out, in *fake, what Scope) *handover {
	g.Helper()
	h := &handover{rig: g, out: out, in: in, done: make(chan error, 1)}
	go func() { h.done <- g.Move(ctx, out.link, in.link, what) }()
	var o wire.MoveOut
	if err := o.Parse(out.next(wire.TypeMoveOut).Body); err != nil {
		g.Fatal(err)
	}
	scope := wire.ScopeAll
	if !what.All {
		scope = wire.ScopeSlots
	}
	if o.Scope != scope || o.Slots != what.Slots {
		g.Errorf("move out %+v", o)
	}
	h.move = o.Move
	if id, err := wire.ParseU64(in.next(wire.TypeMoveIn).Body); err != nil || id != o.Move {
		g.Errorf("move in %d, %v", id, err)
	}
	return h
}

func (f *fake) transfer(g *rig, move uint64) *net.UnixConn {
	f.Helper()
	conn := g.dial()
	l := f.link.launch
	hello := wire.Hello{Version: shared.ProtocolVersion, Process: l.Process, Generation: l.Generation, Secret: l.Secret}
	if _, err := conn.Write(wire.AppendTransfer(nil, &wire.Transfer{Hello: hello, Move: move})); err != nil {
		f.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// step does one of what a process does for a move.
func (h *handover) step(s string) {
	h.Helper()
	ready := func(f *fake) { f.write(wire.AppendMove(nil, wire.TypeMoveReady, h.move)) }
	abort := func(f *fake) { f.write(wire.AppendMove(nil, wire.TypeMoveAbort, h.move)) }
	switch s {
	case "out dials":
		h.conns[sideOut] = h.out.transfer(h.rig, h.move)
	case "in dials":
		h.conns[sideIn] = h.in.transfer(h.rig, h.move)
	case "out ready":
		ready(h.out)
	case "in ready":
		ready(h.in)
	case "out aborts":
		abort(h.out)
	case "in aborts":
		abort(h.in)
	case "out ends":
		h.out.conn.Close()
	case "in ends":
		h.in.conn.Close()
	case "out breaks":
		h.conns[sideOut].Close()
		h.conns[sideIn].Close()
	default:
		h.Fatal(s)
	}
}

// cut makes a whole move up to the cut.
func (h *handover) cut() {
	h.Helper()
	for _, s := range []string{"out dials", "in dials", "in ready", "out ready"} {
		h.step(s)
	}
	if err := <-h.done; err != nil {
		h.Fatal(err)
	}
	h.out.next(wire.TypeMoveCut)
	h.in.next(wire.TypeMoveCut)
}

// paired waits until the manager has both transfer connections.
func (h *handover) paired() {
	h.Helper()
	h.step("out dials")
	h.step("in dials")
	h.mu.Lock()
	m := h.moves[h.move]
	h.mu.Unlock()
	<-m.paired
}

// over waits until the transfer is over.
func (h *handover) over() {
	h.Helper()
	h.mu.Lock()
	m := h.moves[h.move]
	h.mu.Unlock()
	if m == nil {
		return
	}
	select {
	case <-m.over:
	case <-time.After(patience):
		h.Fatal("the transfer does not end")
	}
}

// end closes both sides of the transfer.
func (h *handover) end() {
	h.Helper()
	h.conns[sideOut].Close()
	h.conns[sideIn].Close()
	h.over()
}
