package point

import (
	"errors"
	"fmt"

	"github.com/antano/antano/manager/conformance/internal/rig"
	"github.com/antano/antano/manager/conformance/internal/script"
	"github.com/antano/antano/shared/wire"
)

// handOver moves a client to the next generation.
func handOver(t *trial) (string, error) {
	r, giver, c, err := t.both(nil)
	if err != nil {
		return "", err
	}
	if _, err := t.enter(giver, c, 7); err != nil {
		return "", err
	}
	taker, err := r.Serve(t.ctx, rig.Generation(2))
	if err != nil {
		return "", fmt.Errorf("the second generation, beside the first: %w", err)
	}
	if err := t.move(r, giver, taker); err != nil {
		return "", fmt.Errorf("the clients of one generation were to move to the next: %w", err)
	}
	if _, err := taker.Link.Group(t.ctx, wire.TypeSubscribe, "room", 7); err != nil {
		return "", fmt.Errorf("a client that moved is in room/7: %w", err)
	}
	if err := t.arrives(taker.Link, c, 1, `"moved"`); err != nil {
		return "", fmt.Errorf("after the move, through the process that took the clients: %w", err)
	}
	if err := t.drain(giver, drainTime).wait(); err != nil {
		return "", fmt.Errorf("the process that gave its clients away: %w", err)
	}
	if err := t.stops(giver); err != nil {
		return "", fmt.Errorf("the process that gave its clients away: %w", err)
	}
	if err := c.Send(`{"entity":"room","entity_id":8,"message":"as before"}`); err != nil {
		return "", err
	}
	m, err := taker.Link.Message(t.ctx)
	if err != nil {
		return "", fmt.Errorf("a client that moved sent a message: %w", err)
	}
	if m.FromID != int64(c.id) {
		return "", fmt.Errorf("a client that moved was %d and is %d", c.id, m.FromID)
	}
	return "a client moved with its id and group, and its connection outlived the first generation", nil
}

// moveNumber is that of the only move.
const moveNumber = 77

// move is what a manager does up to the cut.
func (t *trial) move(r *rig.Rig, giver, taker *rig.Process) error {
	if err := taker.Link.Send(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveIn, moveNumber) }); err != nil {
		return err
	}
	out := wire.MoveOut{Move: moveNumber, Scope: wire.ScopeAll}
	if err := giver.Link.Send(func(dst []byte) []byte { return wire.AppendMoveOut(dst, &out) }); err != nil {
		return err
	}
	var ends [2]*script.Link
	for i := range ends {
		l, err := t.transfer(r, giver, taker)
		if err != nil {
			return err
		}
		ends[i] = l
	}
	r.Manager.Pump(ends[0], ends[1])
	for _, p := range []*rig.Process{giver, taker} {
		f, err := p.Link.Take(t.ctx, "move ready", func(f wire.Frame) bool { return isMove(wire.TypeMoveReady)(f) || isMove(wire.TypeMoveAbort)(f) })
		if err != nil {
			return err
		}
		if f.Type == wire.TypeMoveAbort {
			return errAborted
		}
	}
	for _, p := range []*rig.Process{giver, taker} {
		if err := p.Link.Send(func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveCut, moveNumber) }); err != nil {
			return err
		}
	}
	return nil
}

var errAborted = errors.New("move abort came; take part in moves, or say handover false")

func isMove(kind wire.Type) func(wire.Frame) bool {
	return func(f wire.Frame) bool {
		move, err := wire.ParseU64(f.Body)
		return f.Type == kind && err == nil && move == moveNumber
	}
}

// transfer waits for a transfer connection, unless one of the two gives the move up.
func (t *trial) transfer(r *rig.Rig, processes ...*rig.Process) (*script.Link, error) {
	for {
		ctx, cancel := t.within(quiet)
		l, err := r.Manager.Next(ctx)
		cancel()
		if err == nil {
			return l, checkTransfer(l, processes)
		}
		if t.ctx.Err() != nil {
			return nil, fmt.Errorf("no transfer connection: %w", err)
		}
		for _, p := range processes {
			if p.Link.Seen(isMove(wire.TypeMoveAbort)) {
				return nil, errAborted
			}
		}
	}
}

// checkTransfer wants the proof of one of the processes.
func checkTransfer(l *script.Link, processes []*rig.Process) error {
	first, err := l.Transfer()
	if err != nil {
		return fmt.Errorf("a connection for a move: %w", err)
	}
	for _, p := range processes {
		if first.Hello == p.Hello && first.Move == moveNumber {
			return nil
		}
	}
	return fmt.Errorf("transfer names process %d, generation %d and move %d, or has another secret than Start told", first.Process, first.Generation, first.Move)
}
