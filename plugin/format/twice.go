package format

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

// fewKeys is how many keys are compared pair by pair.
const fewKeys = 16

// twice returns a name that is there twice. Many names go through a hash table with
// a secret seed, so that a hostile object costs no more than its size.
func twice(names [][]byte) ([]byte, bool) {
	if len(names) > fewKeys {
		return twiceOfMany(names)
	}
	for i, name := range names {
		for _, other := range names[i+1:] {
			if bytes.Equal(name, other) {
				return name, true
			}
		}
	}
	return nil, false
}

var hashSeed = maphash.MakeSeed()

func twiceOfMany(names [][]byte) ([]byte, bool) {
	slots := make([]uint32, 1<<bits.Len(uint(2*len(names)))) // indexes, from 1
	mask := uint64(len(slots) - 1)
	for i, name := range names {
		at := maphash.Bytes(hashSeed, name) & mask
		for slots[at] != 0 {
			if bytes.Equal(names[slots[at]-1], name) {
				return name, true
			}
			at = (at + 1) & mask
		}
		slots[at] = uint32(i + 1)
	}
	return nil, false
}

// dropUnknown lets go of the payload's unknown keys, and of room for many.
func (e *Envelope) dropUnknown() {
	if clear(e.unknown); cap(e.unknown) > 4*fewKeys {
		e.unknown = nil
	}
}
