package slots

import "math/bits"

// plan shares the slots out and returns what has to be sent for that now.
func (t *Table) plan() []Command {
	t.forgetRemoved()
	t.shareOut()
	var commands []Command
	for _, p := range t.processes {
		if !p.quiet() {
			continue
		}
		if m := t.nextMove(p); m != nil {
			p.move, m.to.move = m, m
			commands = append(commands, Command{Process: p.id, Slots: m.slots, Move: true, To: m.to.id})
		}
	}
	for _, p := range t.processes {
		if !p.quiet() {
			continue
		}
		if next := t.next(p); next != p.told {
			p.told = next
			p.moved &= next
			p.stuck &= next
			p.due &^= next
			commands = append(commands, Command{Process: p.id, Slots: next})
		}
	}
	return commands
}

// quiet reports whether p may be told something: it has confirmed the last command, so
// what it may read is never more than that and the next.
func (p *process) quiet() bool { return p.told == p.reads && p.move == nil && !p.held }

// changing reports whether p has to be told first what became of its last move: until
// then nobody reads those slots.
func (p *process) changing() bool { return p.moved|p.stuck|p.due != 0 }

// next are the slots that p should read from now on.
func (t *Table) next(p *process) Set {
	switch {
	case p.ready: // what waits to be moved is read on
		return ((p.share|p.due)&^t.others(p) | t.wanted(p)) &^ p.moved
	case p.away: // one that drains only gives back
		return p.share & p.told &^ p.moved
	}
	return p.told
}

// others are the slots that some other process may be reading or must read next.
func (t *Table) others(p *process) (s Set) {
	for _, o := range t.processes {
		if o != p {
			s |= o.told | o.reads | o.due
		}
	}
	return s
}

// wanted are the slots that p reads and that are to be moved to somebody else.
func (t *Table) wanted(p *process) Set {
	return p.told &^ (p.share | p.moved | p.stuck)
}

// nextMove finds a ready process that gets slots of p and is free for it.
func (t *Table) nextMove(p *process) *move {
	if !p.ready || p.changing() {
		return nil
	}
	wanted := t.wanted(p)
	for _, to := range t.processes {
		if both := wanted & to.share; both != 0 && to != p && to.ready && to.quiet() && !to.changing() {
			return &move{from: p, to: to, slots: both}
		}
	}
	return nil
}

// shareOut decides who should read what. A slot is read by its own process if that is
// ready; else by whoever reads it already, as an adopter keeps it; else it waits for
// the restart of its own process, or, when that is away, goes to whoever has the fewest.
func (t *Table) shareOut() {
	var readers, adopters [Max]*process
	for _, p := range t.processes {
		if p.ready && !p.leaving {
			each(p.mine(), func(i int) { readers[i] = p })
			each(p.share, func(i int) { adopters[i] = p })
		}
	}
	var left Set
	next := make(map[*process]Set, len(t.processes))
	for _, p := range t.processes {
		each(p.home, func(i int) {
			to := readers[i]
			if to == nil {
				to = adopters[i]
			}
			switch {
			case p.ready && !p.leaving, to == nil && !p.away && !p.leaving:
				to = p
			case to == nil:
				left |= 1 << i
				return
			}
			next[to] |= 1 << i
		})
	}
	for _, p := range t.processes {
		p.share = next[p]
		p.stuck &^= p.share
	}
	each(left, t.adopt)
}

// mine are the slots whose clients p has.
func (p *process) mine() Set { return p.told&^p.moved | p.due }

// adopt finds a reader for a slot whose own process is not there: the one with the
// fewest, else, among those that are to leave, the one that has its clients.
func (t *Table) adopt(slot int) {
	var best *process
	var least int
	for _, p := range t.processes {
		if !p.ready || p.held && p.mine()&(1<<slot) == 0 {
			continue
		}
		n := bits.OnesCount64(p.share)
		if p.leaving {
			n += Max
			if p.mine()&(1<<slot) == 0 {
				n += Max
			}
		}
		if best == nil || n < least {
			best, least = p, n
		}
	}
	if best != nil {
		best.share |= 1 << slot
	}
}

func each(s Set, f func(slot int)) {
	for ; s != 0; s &= s - 1 {
		f(bits.TrailingZeros64(s))
	}
}
