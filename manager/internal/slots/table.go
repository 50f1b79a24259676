// Package slots decides which process reads which slot of a datagram service: 64
// sockets that all its processes inherit, or the one socket of Unix dgram.
//
// It is pure: events go in, commands come out, in the order in which they must be
// sent. One goroutine uses a Table. Two processes never read one slot: a slot goes
// to its next reader when the last one has confirmed that it stopped, or was
// reaped. Source: docs/architecture.md "Sockets".
package slots

import (
	"fmt"
	"math/bits"
	"slices"
)

// Max is how many slots a table can have: a Set has a bit for each.
const Max = 64

// Set is a set of slots: bit n is slot n.
type Set = uint64

// Command tells a process to read exactly these slots.
type Command struct {
	Process int
	Slots   Set
}

// Table is the assignment of one service's slots.
type Table struct {
	processes []*process // in the order of their ids
}

// process is what is known of one reader.
type process struct {
	id    int
	home  Set // its own slots, given when the service was planned
	share Set // what it should read, or keeps waiting for
	ready bool
	away  bool // not ready for longer than a restart takes: siblings adopt
	// What it may be reading: told is the last command, reads what it confirmed
	// before that. While they differ the command is not confirmed yet.
	told, reads Set
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
	t := &Table{}
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

// Ready says that a new generation of a process is ready. It reads nothing yet.
func (t *Table) Ready(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.ready, p.away, p.told, p.reads = true, false, 0, 0
	return t.plan()
}

// Reaped says that a process has ended. Its slots wait for its restart.
func (t *Table) Reaped(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.ready, p.told, p.reads = false, 0, 0
	return t.plan()
}

// Away says that a process drains, or will be down for longer than an immediate
// restart takes: its siblings adopt its slots until it is ready again. With none
// ready they wait.
func (t *Table) Away(id int) []Command {
	p := t.find(id)
	if p == nil {
		return nil
	}
	p.ready, p.away = false, true
	return t.plan()
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

// Readers returns which slots each process was last told to read.
func (t *Table) Readers() map[int]Set {
	m := make(map[int]Set, len(t.processes))
	for _, p := range t.processes {
		m[p.id] = p.told
	}
	return m
}

func (t *Table) find(id int) *process {
	for _, p := range t.processes {
		if p.id == id {
			return p
		}
	}
	return nil
}

// plan shares the slots out and returns what has to be sent for that now. A
// process is told nothing new before it confirmed the last command, so what it may
// read is never more than the two.
func (t *Table) plan() []Command {
	t.shareOut()
	var commands []Command
	for _, p := range t.processes {
		if p.told != p.reads {
			continue
		}
		next := p.share &^ t.others(p)
		if !p.ready {
			next &= p.told // one that drains only gives back
			if !p.away {
				continue
			}
		}
		if next != p.told {
			p.told = next
			commands = append(commands, Command{p.id, next})
		}
	}
	return commands
}

// others are the slots that some other process may be reading.
func (t *Table) others(p *process) (s Set) {
	for _, o := range t.processes {
		if o != p {
			s |= o.told | o.reads
		}
	}
	return s
}

// shareOut decides who should read what. Every process that is not away has its own
// slots; those of the others go to ready siblings, where an adopter keeps what it
// has until it ends and new ones go to whoever has the fewest.
func (t *Table) shareOut() {
	var orphans Set
	for _, p := range t.processes {
		if p.away {
			orphans |= p.home
		}
	}
	left := orphans
	for _, p := range t.processes {
		adopted := p.share & orphans &^ p.home
		p.share = 0
		if !p.away {
			p.share = p.home
		}
		if p.ready {
			p.share |= adopted & left
			left &^= adopted
		}
	}
	for ; left != 0; left &= left - 1 {
		if to := t.fewest(); to != nil {
			to.share |= left & -left
		}
	}
}

func (t *Table) fewest() (least *process) {
	for _, p := range t.processes {
		if p.ready && (least == nil || bits.OnesCount64(p.share) < bits.OnesCount64(least.share)) {
			least = p
		}
	}
	return least
}
