package relay

import (
	"fmt"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// cutOver makes the cut of a move that is ready, with all readers halted.
func (r *Router) cutOver(m *move) error {
	from, to := m.sides[sideOut], m.sides[sideIn]
	resume := r.halt()
	stuck, err := r.switchOver(m, from, to)
	resume()
	if stuck != nil {
		stuck.fail(errNotReading)
	}
	return err
}

// switchOver tells both processes and changes the tables. stuck is a process that
// cannot be told because it does not read.
func (r *Router) switchOver(m *move, from, to *Link) (stuck *Link, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range m.sides {
		if l.state != stateUp {
			return nil, fmt.Errorf("%w: %s", ErrDown, l)
		}
	}
	if m.cause != nil {
		return nil, m.cause
	}
	frame := func(dst []byte) []byte { return wire.AppendMove(dst, wire.TypeMoveCut, m.id) }
	if err := to.queue.PutControl(frame); err != nil {
		return to, fmt.Errorf("tell %s of the cut: %w", to, err)
	}
	// Without its frame from ends at once, as it might right after the cut.
	if from.queue.PutControl(frame) != nil {
		stuck = from
	}
	if m.scope.All {
		r.handOver(from, to)
	} else {
		for _, c := range r.onSlots(from, m.scope.Slots) {
			r.relocate(c, to)
		}
	}
	close(m.cut)
	return stuck, nil
}

// HandedOver says that the cut of all clients of from to another start of its process, both
// adopted, was made under an earlier manager. What to does for them it has told itself.
func (r *Router) HandedOver(from, to *Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to.ready = true
	r.handOver(from, to)
}

// handOver gives all clients of from, and its place in the service, to to. r.mu is
// held.
func (r *Router) handOver(from, to *Link) {
	r.bequeath(from, to)
	r.moved.give(from, to)
	from.draining = true
	from.pending.leave()
	if from.launch.Process == to.launch.Process {
		r.links[to.launch.Process].Store(to)
	} else {
		r.bequeathSeats(from, to)
	}
	r.relist()
}

// relocate notes where one client is now. r.mu is held.
func (r *Router) relocate(c shared.ClientID, to *Link) {
	if r.held[c.Process()].Load().find(c.Sequence()) == to {
		r.moved.drop(c)
		return
	}
	r.moved.set(c, to)
}
