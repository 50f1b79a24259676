package relay

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestGroupsAgainstModel subscribes, unsubscribes and forgets at random and
// compares with plain maps.
func TestGroupsAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var g groups
	links := make([]*Link, 5)
	for i := range links {
		links[i] = subscriber(i)
	}
	type member struct {
		k groupKey
		l *Link
	}
	model := make(map[member]bool)
	for range 200_000 {
		k := groupKey{fmt.Sprintf("room%d", rng.IntN(3)), rng.Int64N(5000)}
		l := links[rng.IntN(5)]
		switch n := rng.IntN(10_000); {
		case n == 0:
			g.forget(l)
			for m := range model {
				if m.l == l {
					delete(model, m)
				}
			}
		case n < 5000:
			g.add(l, []byte(k.name), k.id)
			model[member{k, l}] = true
		default:
			g.remove(l, []byte(k.name), k.id)
			delete(model, member{k, l})
		}
	}
	count := make(map[*Link]int64)
	groups := make(map[groupKey]int)
	for m := range model {
		count[m.l]++
		groups[m.k]++
		if !slices.Contains(g.get([]byte(m.k.name), m.k.id), m.l) {
			t.Fatalf("%v is not in %v", m.l, m.k)
		}
	}
	stored := 0
	for i := range g.shards {
		g.shards[i].table.All(func(name string, id int64, a **audience) bool {
			k := groupKey{name, id}
			if stored++; len((*a).links) != groups[k] || groups[k] == 0 {
				t.Fatalf("%v has %d links, want %d", k, len((*a).links), groups[k])
			}
			return true
		})
	}
	if stored != len(groups) {
		t.Errorf("%d groups, want %d", stored, len(groups))
	}
	for _, l := range links {
		if l.groups.Load() != count[l] {
			t.Errorf("%v counts %d groups, has %d", l, l.groups.Load(), count[l])
		}
		g.forget(l)
	}
	for i := range g.shards {
		if g.shards[i].table.Len() != 0 {
			t.Fatal("groups are left")
		}
	}
}

func subscriber(process int) *Link {
	l := &Link{launch: Launch{Process: uint16(process)}}
	l.alone.links = []*Link{l}
	return l
}

// TestGroupMemory measures the live heap of a group: at most 200 bytes, and none
// when all are gone. The race detector makes it slow and has memory of its own.
func TestGroupMemory(t *testing.T) {
	if raced {
		t.Skip("under the race detector; make unit runs it without")
	}
	for _, processes := range []int{1, 4} {
		measureGroups(t, fmt.Sprintf("%d processes", processes), processes, 200, func(int) string { return "conversation" })
	}
	measureGroups(t, "a name for each", 1, 300, func(i int) string { return fmt.Sprintf("conversation-%d", i) })
}

func measureGroups(t *testing.T, what string, processes int, most float64, name func(int) string) {
	const n = 200_000 // just after the shards' tables have doubled: the worst case
	var g groups
	before := heap()
	var links []*Link
	for p := range processes {
		l := subscriber(p)
		links = append(links, l)
		for i := range n {
			g.add(l, []byte(name(i)), int64(i))
		}
	}
	each := float64(heap()-before) / n
	t.Logf("%s: %.0f bytes a group", what, each)
	if each > most {
		t.Errorf("%s: %.0f bytes a group, want at most %.0f", what, each, most)
	}
	for _, l := range links {
		g.forget(l)
	}
	if left := heap() - before; left > n*10 {
		t.Errorf("%s: %d bytes are left", what, left)
	}
	runtime.KeepAlive(&g)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestGroupLimit(t *testing.T) {
	_, a, _, _ := town(t, Config{})
	a.link.groups.Store(maxGroups)
	a.write(wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{Token: 3, ID: 7, Entity: []byte("room")}))
	a.wantResult(3, shared.CodeOverloaded)
	a.link.groups.Store(0)
}

func TestSubscriptions(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	b.join(7)
	b.join(7) // twice is once
	a.send(a.to(wire.KindGroup, 7, 1))
	b.answerOf(b)
	a.wantResult(1, shared.CodeNone)
	b.nothing()
	if n := b.link.Stats().Groups; n != 1 {
		t.Errorf("%d groups", n)
	}
	leave := func(token uint64) {
		b.write(wire.AppendGroup(nil, wire.TypeUnsubscribe, &wire.Group{Token: token, ID: 7, Entity: []byte("room")}))
	}
	leave(0)
	leave(4)
	b.wantResult(4, shared.CodeNone)
	a.send(a.to(wire.KindGroup, 7, 2))
	a.wantResult(2, shared.CodeNoSuchEntity)
	if n := b.link.Stats().Groups; n != 0 {
		t.Errorf("%d groups", n)
	}
}
