package hub

import (
	"math/bits"
	"sync"

	"github.com/antano/antano/shared/wire"
)

// source is who is told when a message without a token is refused.
type source struct {
	kind wire.Kind // 0: nobody
	id   int64
}

// item is a message in a client's queue. Who waits for its end is told through owed,
// or through from when it is refused.
type item struct {
	p    *payload
	owed *owed // nil: nobody waits
	from source
	over bool // stands above the bound: from a stream, sent directly
	own  bool // an answer that the client is owed
}

// itemCost is what an item costs beside its bytes.
const itemCost = 64

// outbox is a client's output queue; the client's lock guards it.
type outbox struct {
	items    []item
	few      []item    // where items were before there were many
	rented   *itemRoom // that they are in; nil: their own
	head     int       // first item that is not written
	inflight int       // items from head that a Write has now
	offset   int       // bytes of the first item that are written
	bytes    int
	answers  int           // bytes of those that are answers
	writing  bool          // somebody owns the Writer
	released chan struct{} // closed when nobody does any more; nil while nobody waits
	room     chan struct{} // closed when the queue is below its bound; nil while nobody waits
}

// answerCost is what an answer that is still to come is expected to take.
const answerCost = 256

// answerRoom is what answers may take in a queue of the given bound, beside all else: the
// same, and enough for a few hundred where the bound is small.
func answerRoom(limit int) int { return max(limit, 64<<10) }

// crowded reports whether answers wait that, with the owed ones to come, use more than
// half of their room. Where none waits the client reads, and may be owed any number.
func (o *outbox) crowded(owed, limit int) bool {
	return o.answers > 0 && o.answers+owed*answerCost > answerRoom(limit)/2
}

// holds reports whether there is room for the owed answers and one more.
func (o *outbox) holds(owed, limit int) bool {
	return o.answers+(owed+1)*answerCost <= answerRoom(limit)
}

// awaitRoom returns a channel that is closed once relieve finds the queue not crowded.
func (o *outbox) awaitRoom() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

func (o *outbox) relieve(owed, limit int) {
	if o.room != nil && !o.crowded(owed, limit) {
		close(o.room)
		o.room = nil
	}
}

func (o *outbox) len() int { return len(o.items) - o.head }

func (it *item) cost() int { return len(it.p.data) + itemCost }

// fewItems is about the room for items that a client keeps; what busier ones need goes from
// client to client, in rooms of twice that and more.
const (
	fewItems    = 64
	itemClasses = 4
)

// itemRoom is room for items that is in use, or in which all are zero.
type itemRoom struct{ items []item }

var itemRooms [itemClasses]sync.Pool

// newItemRoom returns room for n items, a power of two, and what it is to be given back
// with: nil for more than is kept.
func newItemRoom(n int) ([]item, *itemRoom) {
	class := bits.Len(uint(n/fewItems)) - 2
	if class >= itemClasses {
		return make([]item, 0, n), nil
	}
	r, ok := itemRooms[class].Get().(*itemRoom)
	if !ok {
		r = &itemRoom{items: make([]item, 0, n)}
	}
	return r.items, r
}

// giveBack ends the use of the room; its items are zero again.
func (r *itemRoom) giveBack() {
	itemRooms[bits.Len(uint(cap(r.items)/fewItems))-2].Put(r)
}

func (o *outbox) append(it item) {
	if o.head > fewItems && o.head > len(o.items)/2 {
		n := copy(o.items, o.items[o.head:])
		clear(o.items[n:])
		o.items, o.head = o.items[:n], 0
	}
	if len(o.items) == cap(o.items) && len(o.items) >= fewItems {
		o.grow()
	}
	o.items = append(o.items, it)
	o.count(&it, 1)
}

// grow moves the items to twice their room, at least.
func (o *outbox) grow() {
	items := o.items
	more, room := newItemRoom(1 << bits.Len(uint(len(items))))
	o.items = append(more, items...)
	o.leaveRoom(items)
	o.rented = room
}

// leaveRoom is the end of the use of where items were.
func (o *outbox) leaveRoom(items []item) {
	clear(items)
	switch {
	case o.rented != nil:
		o.rented.giveBack()
		o.rented = nil
	case cap(items) < 2*fewItems:
		o.few = items[:0]
	}
}

// count adds an item to what is queued, or takes it off.
func (o *outbox) count(it *item, sign int) {
	o.bytes += sign * it.cost()
	if it.own {
		o.answers += sign * it.cost()
	}
}

// full reports whether it would go over limit; answers have a room of their own. One
// message always fits.
func (o *outbox) full(it *item, limit int) bool {
	used := o.bytes - o.answers
	if it.own {
		used, limit = o.answers, answerRoom(limit)
	}
	return used > 0 && used+it.cost() > limit
}

func (o *outbox) pop() item {
	it := o.items[o.head]
	o.items[o.head] = item{}
	o.head++
	o.offset = 0
	o.count(&it, -1)
	if o.head == len(o.items) {
		o.emptied()
	}
	return it
}

// emptied gives the room of many items back: an idle client keeps little.
func (o *outbox) emptied() {
	o.items, o.head = o.items[:0], 0
	if o.rented != nil || cap(o.items) >= 2*fewItems {
		o.leaveRoom(o.items)
		o.items, o.few = o.few, nil
	}
}

// prepend puts items before all others. Nobody may be writing.
func (o *outbox) prepend(items []item) {
	all := append(items, o.items[o.head:]...)
	o.leaveRoom(o.items)
	o.items = all
	o.head, o.offset = 0, 0
	for i := range items {
		o.count(&items[i], 1)
	}
}

// release gives the Writer back.
func (o *outbox) release() {
	o.writing = false
	if o.released != nil {
		close(o.released)
		o.released = nil
	}
}

// takeWaiting removes and returns the items that no Write has.
func (o *outbox) takeWaiting() []item {
	return o.cut(o.head + o.inflight)
}

func (o *outbox) cut(from int) []item {
	tail := append([]item(nil), o.items[from:]...)
	clear(o.items[from:])
	o.items = o.items[:from]
	for i := range tail {
		o.count(&tail[i], -1)
	}
	return tail
}

// trim removes and returns the items above the bound that stand there by push-back.
func (o *outbox) trim(limit int) (removed []item) {
	sum, keep := 0, o.head
	for i := o.head; i < len(o.items); i++ {
		it := o.items[i]
		if it.over && sum+it.cost() > limit && i >= o.head+max(o.inflight, 1) {
			removed = append(removed, it)
			o.count(&it, -1)
			continue
		}
		if !it.own {
			sum += it.cost()
		}
		o.items[keep] = it
		keep++
	}
	clear(o.items[keep:])
	o.items = o.items[:keep]
	return removed
}
