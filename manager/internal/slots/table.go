// Package slots decides which process reads which slot of a datagram service: 64
// sockets that all its processes inherit, or the one socket of Unix dgram.
//
// It is pure: events go in, commands come out, in the order in which they must be
// sent. One goroutine uses a Table. Two processes never read one slot: a slot goes
// to its next reader when the last one has confirmed that it stopped, or was
// reaped. Between two running processes the clients of a slot go first, in a move.
// Source: docs/architecture.md "Sockets".
package slots

import (
	"cmp"
	"fmt"
	"slices"
)

// Max is how many slots a table can have: a Set has a bit for each.
const Max = 64

// Set is a set of slots: bit n is slot n.
type Set = uint64

// Command tells a process to read exactly these slots, to be answered by Confirmed;
// or, with Move, to hand the clients of these slots to the process To, to be answered
// by Moved. A process has one command at a time.
type Command struct {
	Process int
	Slots   Set
	Move    bool
	To      int
}

// Table is the assignment of one service's slots.
type Table struct {
	n         int
	processes []*process // in the order of their ids
}

// process is what is known of one reader.
type process struct {
	id      int
	home    Set // its own slots; each slot is the own one of exactly one process
	share   Set // what it should read, or keeps waiting for
	ready   bool
	away    bool // not ready for longer than a restart takes: siblings adopt
	leaving bool // gives all it reads to its siblings
	removed bool // has no own slots any more, and is forgotten with its end
	held    bool // gets no command
	// What it may be reading: told is the last command, reads what it confirmed
	// before that. While they differ the command is not confirmed yet.
	told, reads Set
	// Of what it is told to read: moved has lost its clients and its reader, stuck
	// could not be moved. Neither is moved again before it was told to stop.
	moved, stuck Set
	due          Set   // has their clients by a move, and is to read them before anybody else
	move         *move // that it takes part in
}

// move is a command under way.
type move struct {
	from, to *process
	slots    Set
	// That generation has ended.
	fromGone, toGone bool
}

// New assigns n slots to processes in blocks that differ by at most one slot, in
// the order of the process ids. Nobody reads before it is ready.
func New(n int, processes []int) (*Table, error) {
	if n < 1 || n > Max {
		return nil, fmt.Errorf("%d slots; a service has 1 to %d", n, Max)
	}
	if len(processes) == 0 {
		return nil, fmt.Errorf("%d slots for no process", n)
	}
	ids := slices.Clone(processes)
	slices.Sort(ids)
	t := &Table{n: n}
	for i, id := range ids {
		home := span(i*n/len(ids), (i+1)*n/len(ids))
		if n < len(ids) { // the first processes have one each
			home = span(min(i, n), min(i+1, n))
		}
		t.processes = append(t.processes, &process{id: id, home: home, share: home})
	}
	return t, nil
}

func span(from, to int) (s Set) {
	for i := from; i < to; i++ {
		s |= 1 << i
	}
	return s
}

// Ready says that a new generation of a process is ready and nothing is left of the
// last one. It reads nothing yet.
func (t *Table) Ready(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.begin()
	p.ready, p.away, p.leaving = true, false, p.removed
	return t.plan()
}

// Reading says what a process reads whose manager was another one; it is not ready yet.
// Call it before anything else.
func (t *Table) Reading(id int, slots Set) {
	if p := t.find(id); p != nil {
		p.told, p.reads = slots, slots
	}
}

// Resume is Ready for a process that goes on reading what it read before.
func (t *Table) Resume(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.ready = true
	return t.plan()
}

// Reaped says that a process has ended. Its slots wait for its restart.
func (t *Table) Reaped(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.begin()
	p.ready = false
	return t.plan()
}

// begin forgets what the last generation read.
func (p *process) begin() {
	p.told, p.reads, p.moved, p.stuck, p.due = 0, 0, 0, 0, 0
	if m := p.move; m != nil {
		m.fromGone = m.fromGone || m.from == p
		m.toGone = m.toGone || m.to == p
	}
}

// Away says that a process drains, or will be down for longer than an immediate
// restart takes: its siblings adopt its slots until it is ready again. With none
// ready they wait.
func (t *Table) Away(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.ready, p.away, p.due = false, true, 0
	return t.plan()
}

// Leave says that a process, which runs on, is to give all it reads to its siblings,
// until its next generation is ready. With no sibling ready it keeps its slots.
func (t *Table) Leave(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.leaving = true
	return t.plan()
}

// Hold gives a process no command until Release. What it was told before may still be
// on its way: see Quiet.
func (t *Table) Hold(id int) {
	if p := t.find(id); p != nil {
		p.held = true
	}
}

// Release ends a Hold.
func (t *Table) Release(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.held = false
	return t.plan()
}

// Quiet reports whether no command to a process is open. One that is not in the table
// is quiet.
func (t *Table) Quiet(id int) bool {
	p := t.find(id)
	return p == nil || p.told == p.reads && p.move == nil
}

// Confirmed says that a process reads no slot but these. A confirmation that does
// not answer the last command means nothing.
func (t *Table) Confirmed(id int, slots Set) []Command {
	p := t.find(id)
	if p == nil || slots != p.told {
		return nil
	}
	p.reads = p.told
	return t.plan()
}

// Moved says how the move of a process ended: its clients are with the other one and
// it does not read their slots any more, or, without done, nothing has changed. Moves
// that are not open mean nothing.
func (t *Table) Moved(from int, done bool) []Command {
	var m *move
	for _, p := range t.processes {
		if p.move != nil && p.id == from && p.move.from == p {
			m = p.move
		}
	}
	if m == nil {
		return nil
	}
	m.from.move, m.to.move = nil, nil
	if !m.fromGone && done {
		m.from.moved |= m.slots
	} else if !m.fromGone {
		m.from.stuck |= m.slots
	}
	if !m.toGone && m.to.ready && done {
		m.to.due |= m.slots
	}
	return t.plan()
}

// Reads returns the slots that a process may be reading.
func (t *Table) Reads(id int) Set {
	if p := t.find(id); p != nil {
		return p.told | p.reads
	}
	return 0
}

func (t *Table) find(id int) *process {
	at, ok := t.search(id)
	if !ok {
		return nil
	}
	return t.processes[at]
}

func (t *Table) search(id int) (int, bool) {
	return slices.BinarySearchFunc(t.processes, id, func(p *process, id int) int { return cmp.Compare(p.id, id) })
}
