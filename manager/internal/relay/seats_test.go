package relay

import (
	"testing"

	"github.com/antano/antano/shared/wire"
)

const handled = 10 // the service with a handler

// handler brings up a process of it.
func (g *rig) handler(process uint16, generation uint32) *fake {
	g.Helper()
	launch := launchOf(process, handled)
	launch.Generation, launch.Handler = generation, true
	return g.launch(launch)
}

// processes scales the service.
func (g *rig) processes(ids ...uint16) {
	g.SetServices(map[int64][]uint16{handled: ids, 20: {9}})
}

// seated asks the router where messages of senders go, for each of n of them.
func (g *rig) seated(n int64) []uint16 {
	g.Helper()
	s := g.services.Load().services[handled]
	all := make([]uint16, n)
	for key := range n {
		if l := s.seat(key, g.tick.Load()); l != nil {
			all[key] = l.launch.Process
		}
	}
	return all
}

// unseated counts the senders that are elsewhere than before, by where they were.
func unseated(before, after []uint16) map[uint16]int {
	n := map[uint16]int{}
	for i := range before {
		if before[i] != after[i] {
			n[before[i]]++
		}
	}
	return n
}

func count(at []uint16, process uint16) (n int) {
	for _, p := range at {
		if p == process {
			n++
		}
	}
	return n
}

// TestSeats follows 1000 senders while processes come, crash, come back and are handed
// over: who has a process that is ready keeps it.
func TestSeats(t *testing.T) {
	g := newRig(t, Config{})
	g.processes(1, 2)
	a, b := g.handler(1, 1), g.handler(2, 1)
	const n = 1000
	at := g.seated(n)
	if count(at, 1) < n/3 || count(at, 2) < n/3 {
		t.Errorf("%d and %d senders", count(at, 1), count(at, 2))
	}
	step := func(what string, may map[uint16]bool) []uint16 {
		t.Helper()
		now := g.seated(n)
		for process := range unseated(at, now) {
			if !may[process] {
				t.Errorf("%s: %v senders moved", what, unseated(at, now))
				break
			}
		}
		at = now
		return now
	}

	g.processes(1, 2, 3, 4, 5)
	c := g.handler(3, 1)
	g.handler(4, 1)
	g.handler(5, 1)
	step("3, 4 and 5 are ready", nil)

	b.crash()
	was := at
	step("2 has crashed", map[uint16]bool{2: true})
	if count(at, 2) != 0 || count(at, 3) == 0 || count(at, 4) == 0 {
		t.Errorf("after the crash: %v", at[:20])
	}
	b = g.handler(2, 2)
	step("2 is back", nil)

	// A hand-over to a sibling takes all senders along, whoever a hash would say.
	h := g.moving(t.Context(), c, a, Scope{All: true})
	h.cut()
	before := at
	step("3 was handed to 1", map[uint16]bool{3: true})
	for i := range at {
		if before[i] == 3 && at[i] != 1 {
			t.Fatalf("sender %d of process 3 went to %d", i, at[i])
		}
	}
	h.end()
	c.crash()
	c = g.handler(3, 2)
	step("3 is back", nil)

	// A new generation of a process takes its place.
	old := b
	b = g.handler(2, 3)
	h = g.moving(t.Context(), old, b, Scope{All: true})
	h.cut()
	step("2 was replaced", nil)
	h.end()
	old.crash()
	step("its old generation has ended", nil)

	for _, f := range []*fake{a, b, c} {
		f.link.SetReady(false)
	}
	step("only 4 and 5 are ready", map[uint16]bool{1: true, 2: true, 3: true})
	if count(was, 4)+count(was, 5) == n {
		t.Error("4 and 5 had everybody")
	}
	g.processes(9)
	if g.processes(1, 2, 3, 4, 5); len(g.seats) != 1 {
		t.Errorf("%d tables", len(g.seats))
	}
}

// TestSeatsOfNobody keeps senders of a service none of whose processes is ready.
func TestSeatsOfNobody(t *testing.T) {
	g := newRig(t, Config{})
	g.processes(1, 2, 3)
	a, b := g.handler(1, 1), g.handler(2, 1)
	at := g.seated(100)
	a.link.SetReady(false)
	b.link.SetReady(false)
	if now := g.seated(100); count(now, 0) != 100 {
		t.Errorf("seated at %v", now)
	}
	g.handler(3, 1).link.SetReady(false)
	a.link.SetReady(true)
	b.link.SetReady(true)
	if n := unseated(at, g.seated(100)); len(n) != 0 {
		t.Errorf("%v moved", n)
	}
}

// TestSeatsRoute sends through the router: one sender's messages all reach one process.
func TestSeatsRoute(t *testing.T) {
	g := newRig(t, Config{})
	g.processes(1)
	a, src := g.handler(1, 1), g.start(9, 20)
	src.send(src.to(wire.KindService, handled, 1))
	a.answer(a.message().Token, 1)
	src.wantResult(1, 0)
	g.processes(1, 2, 3, 4, 5, 6)
	others := []*fake{g.handler(2, 1), g.handler(3, 1), g.handler(4, 1), g.handler(5, 1), g.handler(6, 1)}
	src.send(src.to(wire.KindService, handled, 2))
	a.answer(a.message().Token, 1)
	src.wantResult(2, 0)
	for _, f := range others {
		f.nothing()
	}
}

// TestSeatsAreRestored has a successor leave senders where they were, as the last router
// says or, where that was killed, as processes say; another service's are not theirs.
func TestSeatsAreRestored(t *testing.T) {
	g := newRig(t, Config{})
	g.processes(1, 2)
	g.handler(1, 1)
	g.handler(2, 1)
	at := g.seated(500)
	g.processes(1, 2, 3)
	g.handler(3, 1)
	saved, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for name, told := range map[string]bool{"snapshot": false, "told": true} {
		next := newRig(t, Config{Held: true})
		next.processes(1, 2, 3)
		for process := uint16(1); process <= 3; process++ {
			f := next.adopt(process, handled)
			var mine []int64
			for key, p := range at {
				if p == process {
					mine = append(mine, int64(key))
				}
			}
			if told && len(mine) > 0 {
				f.write(wire.AppendSenders(nil, wire.KindClient, mine))
			}
			f.rejoined()
		}
		stranger := next.adopt(9, 20)
		stranger.write(wire.AppendSenders(nil, wire.KindClient, []int64{1}))
		stranger.rejoined()
		if !told {
			if err := next.Restore(saved); err != nil {
				t.Fatal(err)
			}
		}
		next.Open()
		if n := unseated(at, next.seated(500)); len(n) != 0 {
			t.Errorf("%s: %v moved", name, n)
		}
	}
}

// TestSeatShard is what a table forgets.
func TestSeatShard(t *testing.T) {
	const half = maxSeats / seatShards
	h := &seatShard{}
	at := func(key int64, tick uint32) uint16 { p, _ := h.get(key, tick); return p }
	h.set(1, 7, 0)
	h.set(2, 8, 0)
	for _, tt := range []struct {
		key  int64
		tick uint32
		want uint16
	}{
		{1, seatTicks - 1, 7}, {1, seatTicks, 7}, {1, seatTicks - 1, 7}, // 2 is in the second half now
		{1, 2*seatTicks - 1, 7}, {1, 2 * seatTicks, 7}, {2, 2 * seatTicks, 0}, {1, 2*seatTicks + 1, 7},
		{1, 5 * seatTicks, 0},
	} {
		if got := at(tt.key, tt.tick); got != tt.want {
			t.Errorf("sender %d at %d: process %d, want %d", tt.key, tt.tick, got, tt.want)
		}
	}
	for key := range int64(5 * half) {
		h.set(key, 9, 5*seatTicks)
		if len(h.now)+len(h.before) > 2*half {
			t.Fatalf("%d senders", len(h.now)+len(h.before))
		}
	}
	if at(5*half-half, 5*seatTicks) != 9 || at(3*half-1, 5*seatTicks) != 0 {
		t.Error("not the last senders are remembered")
	}
}

// TestSeatDoesNotAllocate holds for a sender that has one.
func TestSeatDoesNotAllocate(t *testing.T) {
	g := newRig(t, Config{})
	g.processes(1, 2)
	g.handler(1, 1)
	g.handler(2, 1)
	s := g.services.Load().services[handled]
	s.seat(5, 0)
	if n := testing.AllocsPerRun(100, func() { s.seat(5, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSeat(b *testing.B) {
	g := newRig(b, Config{})
	g.processes(1, 2)
	g.handler(1, 1)
	g.handler(2, 1)
	s := g.services.Load().services[handled]
	for i := range b.N {
		s.seat(int64(i%100_000), 0)
	}
}
