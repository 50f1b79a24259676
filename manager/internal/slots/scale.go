package slots

import (
	"math/bits"
	"slices"
)

// Add gives a new process its part of the slots, taken from those that have most: no
// more move than its part. A process that was removed and has not ended comes back.
func (t *Table) Add(id int) []Command {
	at, known := t.search(id)
	if !known {
		t.processes = slices.Insert(t.processes, at, &process{id: id})
	}
	p := t.processes[at]
	if known && !p.removed {
		return nil
	}
	p.removed, p.leaving, p.away = false, false, false
	owners := 0
	for _, o := range t.processes {
		if !o.removed {
			owners++
		}
	}
	for range t.n / owners {
		from := t.owner(func(a, b int) bool { return a > b }, p)
		slot := Set(1) << (bits.Len64(from.home) - 1)
		from.home &^= slot
		p.home |= slot
	}
	return t.plan()
}

// Remove gives the slots of a process to those that have fewest, for good. It is
// forgotten when it has ended. The last process keeps its slots.
func (t *Table) Remove(id int) []Command {
	p := t.find(id)
	fewest := func(a, b int) bool { return a < b }
	if p == nil || p.removed || t.owner(fewest, p) == nil {
		return nil
	}
	p.removed, p.leaving = true, true
	for ; p.home != 0; p.home &= p.home - 1 {
		t.owner(fewest, p).home |= p.home & -p.home
	}
	return t.plan()
}

// owner returns the process whose number of own slots is before all others', and is
// not except.
func (t *Table) owner(before func(a, b int) bool, except *process) (first *process) {
	for _, p := range t.processes {
		if p == except || p.removed {
			continue
		}
		if first == nil || before(bits.OnesCount64(p.home), bits.OnesCount64(first.home)) {
			first = p
		}
	}
	return first
}

// forgetRemoved drops the removed processes of which nothing is left.
func (t *Table) forgetRemoved() {
	t.processes = slices.DeleteFunc(t.processes, func(p *process) bool {
		return p.removed && !p.ready && p.told|p.reads == 0 && p.move == nil
	})
}
