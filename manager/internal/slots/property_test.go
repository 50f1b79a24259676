package slots

import (
	"math/rand/v2"
	"testing"
)

// reader is a process as it is: what it reads, which commands are on their way to
// it, which confirmations on their way back.
type reader struct {
	id       int
	alive    bool // the process exists
	ready    bool
	away     bool
	reading  Set
	changing bool // it reads old and new until it has stopped the old
	commands []Set
	answers  []Set
}

type scene struct {
	t       *testing.T
	n       int
	table   *Table
	readers []*reader
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
	for _, c := range commands {
		r := s.readers[c.Process-1]
		if !r.alive {
			s.t.Fatalf("command %x to process %d, which is gone", c.Slots, c.Process)
		}
		r.commands = append(r.commands, c.Slots)
	}
}

// step lets one thing happen to one process.
func (s *scene) step(r *reader, what byte) {
	switch what % 8 {
	case 0, 1: // it becomes ready
		if !r.alive {
			r.alive, r.ready, r.away = true, true, false
			s.send(s.table.Ready(r.id))
		}
	case 2: // it dies
		if r.alive {
			*r = reader{id: r.id, away: r.away}
			s.send(s.table.Reaped(r.id))
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
			r.answers = append(r.answers, r.commands[0])
			r.commands = r.commands[1:]
		}
	case 7: // the confirmation arrives
		if len(r.answers) > 0 {
			answer := r.answers[0]
			r.answers = r.answers[1:]
			s.send(s.table.Confirmed(r.id, answer))
		}
	}
	s.checkOneReader()
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
	for range 8 {
		for _, r := range s.readers {
			s.step(r, 4)
			s.step(r, 6)
			s.step(r, 7)
		}
	}
	anyReady, waiting := false, Set(0)
	var read Set
	for i, r := range s.readers {
		home := s.table.processes[i].home
		if len(r.commands)+len(r.answers) > 0 {
			s.t.Fatalf("process %d never settles", r.id)
		}
		anyReady = anyReady || r.ready
		if !r.ready && !r.away {
			waiting |= home
		}
		if r.ready && home&^r.reading != 0 {
			s.t.Fatalf("process %d does not read %x of its own slots", r.id, home&^r.reading)
		}
		if !r.ready && r.reading != 0 {
			s.t.Fatalf("process %d still reads %x", r.id, r.reading)
		}
		read |= r.reading
	}
	if want := span(0, s.n) &^ waiting; anyReady && read != want {
		s.t.Fatalf("slots %x are read, want %x", read, want)
	}
}

// TestNeverTwoReaders lets anything happen in any order.
func TestNeverTwoReaders(t *testing.T) {
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := Max
		if seed%3 == 0 {
			n = 1
		}
		s := newScene(t, n, 1+random.IntN(6))
		for range 500 {
			s.step(s.readers[random.IntN(len(s.readers))], byte(random.IntN(8)))
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
		for i, r := range s.readers {
			if home := s.table.processes[i].home; r.reading != home {
				t.Fatalf("seed %d: process %d reads %x, its own are %x", seed, r.id, r.reading, home)
			}
		}
	}
}

// FuzzTable is the same with events that the fuzzer chooses.
func FuzzTable(f *testing.F) {
	f.Add(uint8(64), uint8(3), []byte{0, 8, 16, 4, 12, 20, 6, 14, 22, 7, 15, 23, 2, 3, 12, 14, 15, 0, 12, 14, 15, 4, 6, 7})
	f.Add(uint8(1), uint8(2), []byte{0, 8, 4, 6, 7, 2, 3, 12, 14, 15, 0})
	f.Fuzz(func(t *testing.T, n, processes uint8, events []byte) {
		s := newScene(t, 1+int(n)%Max, 1+int(processes)%16)
		for _, e := range events {
			s.step(s.readers[int(e>>3)%len(s.readers)], e)
		}
		s.settle()
	})
}
