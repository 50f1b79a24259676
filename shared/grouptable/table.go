// Package grouptable is a map by the addresses of groups, for a million of them: a lookup
// reads one place in memory, where a map of Go reads five, and an entry takes some 40 bytes
// beside its value.
package grouptable

import (
	"hash/maphash"
	"slices"
)

// Table maps addresses of groups to values, which are never the zero value. The zero Table
// is empty. It takes no lock: who changes it must be alone, and any number may read it
// otherwise.
type Table[V comparable] struct {
	slots  []slot[V] // a power of two of them, or none; each entry stands at its hash, or behind others up to there
	len    int
	recent [4]string // names, whose text new groups share
	next   uint8     // to be replaced
}

// slot is free with the zero value.
type slot[V comparable] struct {
	name  string
	id    int64
	value V
}

func (s *slot[V]) free() bool {
	var zero V
	return s.value == zero
}

// least is how many slots a table has, unless it is empty.
const least = 8

var seed = maphash.MakeSeed()

// Hash is what methods of a Table want with an address. The upper bits of it choose
// nothing in a table, so that they may choose one of several.
func Hash[T string | []byte](name T, id int64) uint64 { return mix(text(name) ^ uint64(id)) }

func text[T string | []byte](name T) uint64 {
	if s, ok := any(name).(string); ok {
		return maphash.String(seed, s)
	}
	return maphash.Bytes(seed, []byte(name))
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Len is how many addresses have a value.
func (t *Table[V]) Len() int { return t.len }

// Get returns the value of an address, the zero value without one.
func (t *Table[V]) Get(hash uint64, name []byte, id int64) (v V) {
	if at := t.find(hash, name, id); at >= 0 {
		return t.slots[at].value
	}
	return v
}

// Put sets the value of an address, which is not the zero value, and returns the name as
// the table keeps it.
func (t *Table[V]) Put(hash uint64, name []byte, id int64, v V) string {
	if at := t.find(hash, name, id); at >= 0 {
		t.slots[at].value = v
		return t.slots[at].name
	}
	if t.len >= len(t.slots)/4*3 {
		t.resize(max(least, 2*len(t.slots)))
	}
	t.len++
	kept := t.intern(name)
	t.insert(hash, slot[V]{kept, id, v})
	return kept
}

// Delete takes the value of an address away, if there is one.
func (t *Table[V]) Delete(hash uint64, name []byte, id int64) {
	if at := t.find(hash, name, id); at >= 0 {
		t.clear(at)
		t.shrink()
	}
}

// All calls do once with every address and its value, which do may change, and deletes
// those for which it returns false. While it keeps all, this only reads.
func (t *Table[V]) All(do func(name string, id int64, v *V) (keep bool)) {
	first, mask := 0, len(t.slots)-1
	for t.len > 0 && !t.slots[first].free() { // behind a free one nothing moves to what was seen
		first++
	}
	before := t.len
	for n := 0; n < len(t.slots); {
		i := (first + n) & mask
		if s := &t.slots[i]; s.free() || do(s.name, s.id, &s.value) {
			n++
			continue
		}
		t.clear(i) // which may move another one here
	}
	if t.len < before {
		t.shrink()
	}
}

// intern returns the name as a text that it may share with others.
func (t *Table[V]) intern(name []byte) string {
	if i := slices.IndexFunc(t.recent[:], func(s string) bool { return s == string(name) }); i >= 0 {
		return t.recent[i]
	}
	s := string(name)
	t.recent[t.next] = s
	t.next = (t.next + 1) % uint8(len(t.recent))
	return s
}

// find returns the slot of an address, -1 without one.
func (t *Table[V]) find(hash uint64, name []byte, id int64) int {
	if t.len == 0 {
		return -1
	}
	for mask, i := len(t.slots)-1, int(hash); ; i++ {
		s := &t.slots[i&mask]
		if s.free() {
			return -1
		}
		if s.id == id && s.name == string(name) {
			return i & mask
		}
	}
}

// insert fills the first free slot for an address that has none.
func (t *Table[V]) insert(hash uint64, s slot[V]) {
	mask, i := len(t.slots)-1, int(hash)
	for !t.slots[i&mask].free() {
		i++
	}
	t.slots[i&mask] = s
}

// clear frees a slot, and closes the gap for those behind it that must be found from
// before it.
func (t *Table[V]) clear(gap int) {
	t.len--
	mask := len(t.slots) - 1
	for i := gap; ; {
		i = (i + 1) & mask
		s := &t.slots[i]
		if s.free() {
			break
		}
		home := int(Hash(s.name, s.id)) & mask
		if (i-home)&mask >= (i-gap)&mask {
			t.slots[gap] = *s
			gap = i
		}
	}
	t.slots[gap] = slot[V]{}
}

// shrink gives memory back when most slots are free.
func (t *Table[V]) shrink() {
	switch {
	case t.len == 0:
		t.slots, t.recent = nil, [len(t.recent)]string{}
	case len(t.slots) > least && t.len < len(t.slots)/8:
		t.resize(max(least, len(t.slots)/4))
	}
}

func (t *Table[V]) resize(n int) {
	old := t.slots
	t.slots = make([]slot[V], n)
	for i := range old {
		if s := &old[i]; !s.free() {
			t.insert(Hash(s.name, s.id), *s)
		}
	}
}
