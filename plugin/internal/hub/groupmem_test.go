package hub

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A group costs at most 200 bytes in the process, a member 100.
func TestMemoryOfGroups(t *testing.T) {
	const n = 50_000
	var h Hub
	clients := make([]Client, n)
	before := liveHeap()
	for i := range n {
		h.groups.put(groupKey{string([]byte("room")), int64(i)}).subscribed = true
	}
	groups := liveHeap()
	for i := range n {
		h.groups.get(groupKey{"room", int64(i)}).enter(&clients[i%10])
	}
	busy := liveHeap()
	for i := range n {
		if g := h.groups.get(groupKey{"room", 7}); !g.has(&clients[i]) {
			g.enter(&clients[i])
		}
	}
	large := liveHeap()
	each := func(from, to uint64) int { return (int(to) - int(from)) / n }
	t.Logf("%d bytes a group, %d the only member of one, %d a member of a large one", each(before, groups), each(groups, busy), each(busy, large))
	if each(before, groups) > 200 || each(groups, busy) > 100 || each(busy, large) > 100 {
		t.Error("too much")
	}
	runtime.KeepAlive(&h)
	runtime.KeepAlive(clients)
}

// However clients join and leave, both sides know of the same memberships.
func TestMemberships(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	groups := make([]group, 100)
	clients := make([]Client, 50)
	want := map[*group]map[*Client]bool{}
	for i := range groups {
		want[&groups[i]] = map[*Client]bool{}
	}
	for round := range 50_000 {
		g, c := &groups[r.IntN(len(groups))], &clients[r.IntN(len(clients))]
		was := want[g][c]
		if g.has(c) != was {
			t.Fatalf("round %d: member %t, want %t", round, !was, was)
		}
		if leaving := r.IntN(10) < 4+2*(round/10_000%2); leaving {
			if g.leave(c) != was {
				t.Fatalf("round %d: leave said %t", round, !was)
			}
			delete(want[g], c)
		} else if !was {
			g.enter(c)
			want[g][c] = true
		}
		if len(g.members) != len(want[g]) || slices.ContainsFunc(g.members, func(m member) bool { return !want[g][m.client] }) {
			t.Fatalf("round %d: the members differ", round)
		}
	}
	for i := range clients {
		c := &clients[i]
		for at, m := range c.joined.list {
			if other := m.group.members[m.at]; other.client != c || int(other.at) != at {
				t.Fatal("the sides differ")
			}
		}
	}
}
