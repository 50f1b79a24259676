package wire

import (
	"errors"
	"sync"
)

var (
	// ErrFull means that a frame would take the queue over its bound.
	ErrFull = errors.New("link queue is full")
	// ErrClosed means that the link is gone.
	ErrClosed = errors.New("link is closed")
)

// Sink is the write side of a link. Calls never overlap.
type Sink interface {
	// TryWrite writes what the peer takes now and returns without waiting.
	TryWrite(p []byte) (int, error)
	// Write writes all of p and blocks until it has.
	Write(p []byte) (int, error)
}

// Charge is what a frame in a queue is booked under: Account, any comparable value,
// is told of the rest when the frame has left the queue, written or dropped. Silent is 1
// if nobody waits for a result, so that the frame counts in Lost if the link breaks
// before it is written.
type Charge struct {
	Account any
	Bytes   int
	Silent  int
}

// keepBuffer is the largest buffer an idle queue keeps.
const keepBuffer = 1 << 20

// batch is a run of frames that leaves the queue in one piece.
type batch struct {
	bytes   []byte
	charges []Charge
	silent  int
}

// Queue is the bounded outbound queue of a link. Put appends and never blocks;
// Flush writes as much as the socket takes at once, in the caller's goroutine, and
// leaves the rest to Run. All methods are safe for concurrent use; frames leave in
// the order of their Puts.
type Queue struct {
	sink  Sink
	limit int
	left  func([]Charge)

	mu      sync.Mutex
	next    batch         // what Puts append to
	spare   batch         // its buffers when next is taken
	rest    batch         // what Flush left for Run, with how much of it is written
	written int           // bytes of rest
	handed  bool          // rest waits for Run
	queued  int           // bytes in next and in the batch being written
	writing bool          // somebody owns the sink
	frames  uint64        // frames ever put
	bytes   uint64        // bytes ever put
	silent  uint64        // silent frames ever put
	lost    int           // of them, those that never left
	space   chan struct{} // closed when there is room again; nil while nobody waits
	err     error

	survives bool            // a failed write detaches
	detached bool            // there is no sink
	quiet    *sync.Cond      // writing ended, or rest was handed over
	pass     func(Type) bool // what leaves while the rest is held; nil: everything
	kept     []byte          // frames that pass refused

	wake chan struct{}
	gone chan struct{}
}

// NewQueue returns a queue of at most limit bytes in front of sink. left, which may
// be nil, is called without locks whenever charged bytes have left the queue,
// written or dropped because the link broke: every charge is reported exactly once.
// It must not block, must not flush a queue and must not keep its argument.
func NewQueue(sink Sink, limit int, left func([]Charge)) *Queue {
	q := &Queue{sink: sink, limit: limit, left: left,
		wake: make(chan struct{}, 1), gone: make(chan struct{})}
	q.quiet = sync.NewCond(&q.mu)
	return q
}

// Put appends a message frame of the given size, written by encode, and books it
// under charge. ErrFull leaves the queue as it was. An empty
// queue takes any one frame.
func (q *Queue) Put(size int, charge Charge, encode func(dst []byte) []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	if q.queued > 0 && q.queued+size > q.limit {
		return ErrFull
	}
	q.append(encode)
	q.next.silent += charge.Silent
	q.silent += uint64(charge.Silent)
	if charge.Account != nil {
		q.next.charge(charge)
	}
	return nil
}

// PutControl appends a frame that must not be dropped: results, credit, health. It
// may use as much again as the bound; a peer that lets even that fill up does not
// read its link, and ErrFull then means to close it.
func (q *Queue) PutControl(encode func(dst []byte) []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	if q.queued > 2*q.limit {
		return ErrFull
	}
	q.append(encode)
	return nil
}

func (q *Queue) append(encode func([]byte) []byte) {
	before := len(q.next.bytes)
	q.next.bytes = encode(q.next.bytes)
	n := len(q.next.bytes) - before
	if q.pass != nil && !q.pass(Type(q.next.bytes[before+HeaderSize-1])) {
		q.kept = append(q.kept, q.next.bytes[before:]...)
		q.next.bytes = q.next.bytes[:before]
	}
	q.queued += n
	q.frames++
	q.bytes += uint64(n)
}

// mergeCharges is how far back a charge looks for one of the same account.
const mergeCharges = 8

func (b *batch) charge(c Charge) {
	for i := len(b.charges) - 1; i >= 0 && i >= len(b.charges)-mergeCharges; i-- {
		if e := &b.charges[i]; e.Account == c.Account {
			e.Bytes += c.Bytes
			e.Silent += c.Silent
			return
		}
	}
	b.charges = append(b.charges, c)
}

// QueueStats is what went through a queue so far, and what is in it.
type QueueStats struct {
	Frames, Bytes uint64 // ever put
	Silent        uint64 // silent frames ever put
	Queued        int    // bytes that wait to be written
	Lost          int    // silent frames that a broken link dropped
}

// Stats returns a snapshot.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return QueueStats{Frames: q.frames, Bytes: q.bytes, Silent: q.silent, Queued: q.queued, Lost: q.lost}
}

// Queued returns how many bytes wait to be written.
func (q *Queue) Queued() int { return q.Stats().Queued }

// Space returns a channel that is closed once the queue is at most half full or
// closed. It is what a source waits on after ErrFull.
func (q *Queue) Space() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.space == nil {
		q.space = make(chan struct{})
		if q.roomy() {
			defer q.room()
		}
	}
	return q.space
}

func (q *Queue) roomy() bool { return q.err != nil || q.queued <= q.limit/2 }

// room tells who waits that there is space. The lock is held.
func (q *Queue) room() {
	if q.space != nil && q.roomy() {
		close(q.space)
		q.space = nil
	}
}

// Close makes every later Put fail with err and wakes who waits for space. What is
// still queued is dropped and its charges are reported.
func (q *Queue) Close(err error) {
	q.mu.Lock()
	dropped := q.closeLocked(err)
	q.mu.Unlock()
	for _, b := range dropped {
		q.report(b.charges)
	}
}

// closeLocked takes what nobody is writing; a batch in somebody's hands is
// accounted for there.
func (q *Queue) closeLocked(err error) (dropped [2]batch) {
	if q.err != nil {
		return dropped
	}
	q.err = err
	close(q.gone)
	dropped[0], q.next = q.next, batch{}
	if q.handed {
		dropped[1], q.rest, q.handed = q.rest, batch{}, false
		q.stopWriting()
	}
	for _, b := range dropped {
		q.queued -= len(b.bytes)
		q.lost += b.silent
	}
	q.queued -= len(q.kept)
	q.kept = nil
	q.room()
	return dropped
}

func (q *Queue) report(charges []Charge) {
	if q.left != nil && len(charges) > 0 {
		q.left(charges)
	}
}
