package relay

import (
	"sync"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// entry is a message at a destination that has not answered yet.
type entry struct {
	src        *Link
	token      uint64 // the source's
	all        *aggregate
	check      uint64 // 0: free
	born       uint32 // tick
	prev, next uint32 // index+1; next also links the free entries
	multi      bool   // to a group: any number of copies
}

const (
	indexBits  = 20 // entries of one destination: 1 M
	chunkBits  = 9
	keepChunks = 16
)

// slab holds what is open at one destination, oldest first. A token is an index
// and a check number that no other token of the link ever has, so a forged or late
// one is recognised. It allocates only to grow.
type slab struct {
	mu         sync.Mutex
	chunks     [][]entry
	free       uint32
	head, tail uint32
	open       int
	check      uint64
	expired    int    // answered for the destination, which may still answer late
	left       uint64 // check of the last token before all its clients left; 0: they have not
	closed     bool
}

func (s *slab) at(i uint32) *entry { return &s.chunks[i>>chunkBits][i&(1<<chunkBits-1)] }

// add opens an entry and returns its token. CodeOverloaded means that too much is
// open, CodeProcessLost that the link is down.
func (s *slab) add(e entry) (uint64, shared.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, shared.CodeProcessLost
	}
	if s.free == 0 && !s.grow() {
		return 0, shared.CodeOverloaded
	}
	i := s.free - 1
	slot := s.at(i)
	s.free = slot.next
	s.check++
	e.check, e.prev, e.next = s.check, s.tail, 0
	*slot = e
	if s.tail != 0 {
		s.at(s.tail - 1).next = i + 1
	} else {
		s.head = i + 1
	}
	s.tail = i + 1
	s.open++
	return s.check<<indexBits | uint64(i), shared.CodeNone
}

func (s *slab) grow() bool {
	n := uint32(len(s.chunks)) << chunkBits
	if n >= 1<<indexBits {
		return false
	}
	s.chunks = append(s.chunks, make([]entry, 1<<chunkBits))
	for i := range uint32(1 << chunkBits) {
		s.at(n + i).next = s.free
		s.free = n + i + 1
	}
	return true
}

func (s *slab) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// take closes the entry of a token; false for a token that is not open.
func (s *slab) take(token uint64) (entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := uint32(token & (1<<indexBits - 1))
	if int(i>>chunkBits) >= len(s.chunks) {
		return entry{}, false
	}
	if e := s.at(i); e.check == 0 || e.check != token>>indexBits {
		return entry{}, false
	}
	return s.remove(i), true
}

func (s *slab) remove(i uint32) entry {
	slot := s.at(i)
	e := *slot
	if e.prev != 0 {
		s.at(e.prev - 1).next = e.next
	} else {
		s.head = e.next
	}
	if e.next != 0 {
		s.at(e.next - 1).prev = e.prev
	} else {
		s.tail = e.prev
	}
	*slot = entry{next: s.free}
	s.free = i + 1
	if s.open--; s.open == 0 && len(s.chunks) > keepChunks {
		s.chunks, s.free = nil, 0
	}
	return e
}

// expire answers what is older than age ticks with timeout.
func (s *slab) expire(now, age uint32, out *outbox) {
	for {
		s.mu.Lock()
		if s.head == 0 || int32(now-s.at(s.head-1).born) < int32(age) { // a reader may be ahead of the sweeper
			s.mu.Unlock()
			return
		}
		e := s.remove(s.head - 1)
		s.expired++
		s.mu.Unlock()
		e.fail(shared.CodeTimeout, out)
		out.trim()
	}
}

// leave notes that all clients of the destination are with another process from here
// on: a copy for a group that is opened later has nobody to go to.
func (s *slab) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = max(s.check, 1)
}

// close answers everything with process_lost, but for what nobody was there for, and
// takes nothing any more.
func (s *slab) close(out *outbox) {
	s.mu.Lock()
	s.closed = true
	for s.head != 0 {
		e := s.remove(s.head - 1)
		s.mu.Unlock()
		if e.multi && s.left != 0 && e.check > s.left {
			e.answer(&wire.Result{}, out)
		} else {
			e.fail(shared.CodeProcessLost, out)
		}
		out.trim()
		s.mu.Lock()
	}
	s.chunks = nil
	s.mu.Unlock()
}

// lateBudget is how many results without an entry a process may send beyond those
// that the router had answered for it.
const lateBudget = 4096

// stray counts a result that nobody waits for and reports whether there were too
// many.
func (s *slab) stray(strays uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strays > uint64(s.expired)+lateBudget
}

func (e *entry) fail(code shared.Code, out *outbox) {
	var res wire.Result
	res.Fail(code, 1)
	e.answer(&res, out)
}

// answer passes on what became of the message.
func (e *entry) answer(res *wire.Result, out *outbox) {
	if e.all != nil {
		e.all.add(res, out)
		return
	}
	res.Token = e.token
	out.result(e.src, res)
}
