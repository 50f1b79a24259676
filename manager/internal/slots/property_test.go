package slots

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// reader is a process as it is: what it reads, the command on its way to it, the
// answer on its way back.
type reader struct {
	id       int
	alive    bool // the process exists
	ready    bool
	away     bool
	leaving  bool
	removed  bool
	held     bool
	reading  Set
	clients  Set  // slots whose clients it has
	changing bool // it reads old and new until it has stopped the old
	commands []Set
	answers  []Set
}

// transfer is a move under way.
type transfer struct {
	from, to *reader
	slots    Set
	gone     bool // one of them has ended
	over     bool
	done     bool
}

type scene struct {
	t       *testing.T
	n       int
	table   *Table
	readers []*reader
	moves   []*transfer
}

func newScene(t *testing.T, n, processes int) *scene {
	s := &scene{t: t, n: n}
	ids := make([]int, processes)
	for i := range ids {
		ids[i] = i + 1
		s.readers = append(s.readers, &reader{id: i + 1})
	}
	s.table = mustNew(t, n, ids...)
	return s
}

func (s *scene) send(commands []Command) {
	s.t.Helper()
	for _, c := range commands {
		r := s.readers[c.Process-1]
		if !r.alive || r.held || len(r.commands)+len(r.answers) > 0 || s.moving(r) {
			s.t.Fatalf("command %+v to process %+v", c, *r)
		}
		if !c.Move {
			r.commands = append(r.commands, c.Slots)
			continue
		}
		to := s.readers[c.To-1]
		if !to.ready || to.held || len(to.commands)+len(to.answers) > 0 || c.Slots&^r.reading != 0 {
			s.t.Fatalf("%+v of process %+v to process %+v", c, *r, *to)
		}
		s.moves = append(s.moves, &transfer{from: r, to: to, slots: c.Slots})
	}
}

func (s *scene) moving(r *reader) bool {
	for _, m := range s.moves {
		if m.from == r && !m.gone || m.to == r {
			return true
		}
	}
	return false
}

// step lets one thing happen to one process.
func (s *scene) step(r *reader, what byte) {
	s.t.Helper()
	switch what % 16 {
	case 0, 1: // it becomes ready
		if !r.alive {
			r.alive, r.ready, r.away, r.leaving = true, s.table.find(r.id) != nil, false, r.removed
			s.send(s.table.Ready(r.id))
		}
	case 2: // it dies
		if r.alive {
			s.die(r)
		}
	case 3: // it drains, hangs or backs off
		if !r.away {
			r.ready, r.away = false, true
			s.send(s.table.Away(r.id))
		}
	case 4, 5: // a command arrives, and it begins to read
		if r.alive && !r.changing && len(r.commands) > 0 {
			r.reading |= r.commands[0]
			r.changing = true
		}
	case 6: // it has stopped the old ones and says so
		if r.changing {
			r.reading, r.changing = r.commands[0], false
			r.clients = r.reading
			r.answers = append(r.answers, r.commands[0])
			r.commands = r.commands[1:]
		}
	case 7: // the confirmation arrives
		if len(r.answers) > 0 {
			answer := r.answers[0]
			r.answers = r.answers[1:]
			s.send(s.table.Confirmed(r.id, answer))
		}
	case 8, 9, 10:
		s.end(r, what%16 != 10)
	case 11:
		s.told(r)
	case 12:
		if r.ready && !r.leaving {
			r.leaving = true
			s.send(s.table.Leave(r.id))
		}
	case 13:
		s.scale(r)
	case 14:
		if !r.held && s.table.Quiet(r.id) {
			r.held = true
			s.table.Hold(r.id)
		}
	case 15:
		s.release(r)
	}
	s.checkOneReader()
}

func (s *scene) die(r *reader) {
	for _, m := range s.moves {
		m.gone = m.gone || m.from == r || m.to == r
	}
	*r = reader{id: r.id, away: r.away, leaving: r.leaving, removed: r.removed, held: r.held}
	s.send(s.table.Reaped(r.id))
}

func (s *scene) release(r *reader) {
	if r.held {
		r.held = false
		s.send(s.table.Release(r.id))
	}
}

// end lets a move of the process come to its end.
func (s *scene) end(r *reader, done bool) {
	for _, m := range s.moves {
		if m.from != r || m.over {
			continue
		}
		m.over, m.done = true, done && !m.gone
		if m.done {
			m.from.reading &^= m.slots
			m.from.clients &^= m.slots
			m.to.clients |= m.slots
		}
	}
}

// told lets the table hear of the end of a move.
func (s *scene) told(r *reader) {
	s.t.Helper()
	for i, m := range s.moves {
		if m.from == r && m.over {
			s.moves = append(s.moves[:i], s.moves[i+1:]...)
			s.send(s.table.Moved(r.id, m.done))
			return
		}
	}
}

// scale removes the process, or adds it again.
func (s *scene) scale(r *reader) {
	s.t.Helper()
	before := s.homes()
	if r.removed {
		if !r.alive {
			r.removed, r.away, r.leaving = false, false, false
			r.held = r.held && s.table.find(r.id) != nil // a new one is not held
			s.send(s.table.Add(r.id))
		}
	} else if s.owners() > 1 {
		r.removed, r.leaving = true, true
		s.send(s.table.Remove(r.id))
	}
	after := s.homes()
	moved, most := 0, s.n/s.owners()+1
	for slot := range after {
		if before[slot] != after[slot] {
			moved++
		}
	}
	if moved > most {
		s.t.Fatalf("%d of %d slots have another owner, more than %d", moved, s.n, most)
	}
}

func (s *scene) owners() (n int) {
	for _, r := range s.readers {
		if !r.removed {
			n++
		}
	}
	return n
}

// homes are the owners of the slots; those of two processes differ by at most one.
func (s *scene) homes() []int {
	s.t.Helper()
	homes := make([]int, s.n)
	least, most := s.n, 0
	for _, p := range s.table.processes {
		if p.removed {
			continue
		}
		n := bits.OnesCount64(p.home)
		least, most = min(least, n), max(most, n)
		each(p.home, func(slot int) {
			if homes[slot] != 0 {
				s.t.Fatalf("slot %d is owned twice", slot)
			}
			homes[slot] = p.id
		})
	}
	if most-least > 1 {
		s.t.Fatalf("some own %d slots, some %d", least, most)
	}
	return homes
}

func (s *scene) checkOneReader() {
	s.t.Helper()
	var seen Set
	for _, r := range s.readers {
		if both := seen & r.reading; both != 0 {
			s.t.Fatalf("slots %x have two readers", both)
		}
		seen |= r.reading
	}
}

// settle delivers everything and checks that every slot is read that can be.
func (s *scene) settle() {
	s.t.Helper()
	for _, r := range s.readers {
		s.release(r)
	}
	for range 8 * len(s.readers) {
		for _, r := range s.readers {
			for _, what := range []byte{4, 6, 7, 8, 11} {
				s.step(r, what)
			}
		}
	}
	homes := s.homes()
	var read Set
	anyReady := false
	for _, r := range s.readers {
		if len(r.commands)+len(r.answers) > 0 || s.moving(r) {
			s.t.Fatalf("process %d never settles", r.id)
		}
		if !r.ready && r.reading != 0 {
			s.t.Fatalf("process %+v still reads %x", *r, r.reading)
		}
		if r.ready && r.clients != r.reading {
			s.t.Fatalf("process %d has the clients of %x and reads %x", r.id, r.clients, r.reading)
		}
		anyReady = anyReady || r.ready
		read |= r.reading
	}
	for slot, id := range homes {
		r, bit := s.readers[id-1], Set(1)<<slot
		waits := !r.ready && !r.away && !r.leaving
		if r.ready && !r.leaving && r.reading&bit == 0 || anyReady && !waits && read&bit == 0 {
			s.t.Fatalf("slot %d of process %+v is read by none or another, of %x", slot, *r, read)
		}
	}
}

// TestNeverTwoReaders lets anything happen in any order.
func TestNeverTwoReaders(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := Max
		if seed%3 == 0 {
			n = 1
		}
		s := newScene(t, n, 1+random.IntN(6))
		for range 500 {
			s.step(s.readers[random.IntN(len(s.readers))], byte(random.IntN(16)))
			if random.IntN(100) == 0 {
				s.settle()
			}
		}
		s.settle()
		for _, r := range s.readers { // in the end everybody is well again
			s.step(r, 2)
			s.step(r, 0)
		}
		s.settle()
		for slot, id := range s.homes() {
			if r := s.readers[id-1]; r.reading&(1<<slot) == 0 {
				t.Fatalf("seed %d: process %d reads %x, not its own slot %d", seed, r.id, r.reading, slot)
			}
		}
	}
}

// TestScaleMovesLittle counts the slots that go to another process.
func TestScaleMovesLittle(t *testing.T) {
	for n := 1; n < 20; n++ {
		ids := make([]int, n)
		for i := range ids {
			ids[i] = i + 1
		}
		s := &scene{t: t, n: Max, table: mustNew(t, Max, ids...)}
		for i := range n + 1 {
			s.readers = append(s.readers, &reader{id: i + 1, removed: i == n})
		}
		up := s.homes()
		s.table.Add(n + 1)
		down := s.homes()
		moved := 0
		for slot := range up {
			if up[slot] != down[slot] {
				moved++
			}
		}
		if want := Max / (n + 1); moved != want {
			t.Errorf("%d to %d processes moves %d slots, not %d", n, n+1, moved, want)
		}
		s.table.Remove(n + 1)
		s.homes()
	}
}

// FuzzTable is the same with events that the fuzzer chooses.
func FuzzTable(f *testing.F) {
	f.Add(uint8(64), uint8(3), []byte{0, 16, 32, 4, 20, 36, 6, 22, 38, 7, 23, 39, 2, 3, 20, 22, 23, 0, 24, 27, 20, 22, 23, 4, 6, 7, 13})
	f.Add(uint8(1), uint8(2), []byte{0, 16, 4, 6, 7, 2, 3, 20, 22, 23, 0, 24, 27})
	f.Fuzz(func(t *testing.T, n, processes uint8, events []byte) {
		s := newScene(t, 1+int(n)%Max, 1+int(processes)%16)
		for _, e := range events {
			s.step(s.readers[int(e>>4)%len(s.readers)], e)
		}
		s.settle()
	})
}
