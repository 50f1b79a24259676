package grouptable

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type address struct {
	name string
	id   int64
}

func put(t *Table[int], a address, v int) { t.Put(Hash(a.name, a.id), []byte(a.name), a.id, v) }
func get(t *Table[int], a address) int    { return t.Get(Hash(a.name, a.id), []byte(a.name), a.id) }

// Whatever is put and deleted, a table is what a map is, however full it is, and gives
// back what it does not need.
func TestTableIsAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var table Table[int]
	model := map[address]int{}
	names := []string{"room", "user", "a", "b", "c", "d", ""}
	for round := range 60_000 {
		growing := round/10_000%2 == 0
		a := address{names[r.IntN(len(names))], int64(r.IntN(500))}
		switch n := r.IntN(100); {
		case n == 0 && !growing:
			odd := r.IntN(2)
			table.All(func(name string, id int64, v *int) bool {
				*v++
				return *v%10 != odd
			})
			for a := range model {
				if model[a]++; model[a]%10 == odd {
					delete(model, a)
				}
			}
		case n < 60 == growing:
			put(&table, a, round+1)
			model[a] = round + 1
		default:
			table.Delete(Hash(a.name, a.id), []byte(a.name), a.id)
			delete(model, a)
		}
		if got := get(&table, a); got != model[a] || table.Len() != len(model) {
			t.Fatalf("round %d: %v has %d of %d, want %d of %d", round, a, got, table.Len(), model[a], len(model))
		}
		if n := len(table.slots); n > least && (8*table.Len() < n || 4*table.Len() > 3*n) {
			t.Fatalf("round %d: %d slots for %d", round, n, table.Len())
		}
		if round%1000 == 0 {
			same(t, &table, model)
		}
	}
	table.All(func(string, int64, *int) bool { return false })
	if table.Len() != 0 || table.slots != nil {
		t.Errorf("%d left in %d slots", table.Len(), len(table.slots))
	}
}

func same(t *testing.T, table *Table[int], model map[address]int) {
	t.Helper()
	seen := map[address]bool{}
	table.All(func(name string, id int64, v *int) bool {
		a := address{name, id}
		if seen[a] || model[a] != *v {
			t.Fatalf("%v has %d, want %d; seen before %t", a, *v, model[a], seen[a])
		}
		seen[a] = true
		return true
	})
	for a, v := range model {
		if !seen[a] || get(table, a) != v {
			t.Fatalf("%v has %d, want %d", a, get(table, a), v)
		}
	}
}

// A text and its bytes are the same address.
func TestHash(t *testing.T) {
	if Hash("room", 7) != Hash([]byte("room"), 7) || Hash("room", 7) == Hash("room", 8) || Hash("room", 7) == Hash("rooms", 7) {
		t.Error("hashes do not tell addresses apart, and only these")
	}
}

func TestAllocationsOfLookups(t *testing.T) {
	var table Table[*int]
	name := []byte("room")
	table.Put(Hash(name, 7), name, 7, new(int))
	if n := testing.AllocsPerRun(100, func() {
		if table.Get(Hash(name, 7), name, 7) == nil || table.Get(Hash(name, 8), name, 8) != nil {
			t.Fatal("wrong")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkGet looks up groups at random, in a table and in a map of Go.
func BenchmarkGet(b *testing.B) {
	name := []byte("bench")
	for _, n := range []int{1000, 1_000_000} {
		value := new(int)
		b.Run(fmt.Sprintf("table/%d", n), func(b *testing.B) {
			var table Table[*int]
			for i := range int64(n) {
				table.Put(Hash(name, i), name, i, value)
			}
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				id := r.Int64N(int64(n))
				if table.Get(Hash(name, id), name, id) == nil {
					b.Fatal(id)
				}
			}
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			m := map[address]*int{}
			for i := range int64(n) {
				m[address{string(name), i}] = value
			}
			r := rand.New(rand.NewPCG(1, 2))
			for b.Loop() {
				id := r.Int64N(int64(n))
				if m[address{string(name), id}] == nil {
					b.Fatal(id)
				}
			}
		})
	}
}
