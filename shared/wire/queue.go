package wire

import (
	"context"
	"errors"
	"sync"
)

var (
	// ErrFull means that a frame would take the queue over its bound.
	ErrFull = errors.New("link queue is full")
	// ErrClosed means that the link is gone.
	ErrClosed = errors.New("link is closed")
)

// Sink is the write side of a link.
type Sink interface {
	// TryWrite writes what the peer takes now and returns without waiting.
	TryWrite(p []byte) (int, error)
	// Write writes all of p and blocks until it has.
	Write(p []byte) (int, error)
}

// Charge is what one source has in a queue on one lane; it is reported when the
// bytes have left.
type Charge struct {
	Process uint16
	Lane    Lane
	Bytes   int
}

// keepBuffer is the largest buffer an idle queue keeps.
const keepBuffer = 1 << 20

// Queue is the bounded outbound queue of a link. Put appends and never blocks;
// Flush writes as much as the socket takes at once, in the caller's goroutine, and
// leaves the rest to Run. All methods are safe for concurrent use; frames leave in
// the order of their Puts.
type Queue struct {
	sink    Sink
	limit   int
	written func([]Charge)

	mu           sync.Mutex
	buf, spare   []byte
	charges      []Charge
	spareCharges []Charge
	queued       int           // bytes in buf and in the batch being written
	writing      bool          // somebody owns the sink
	rest         []byte        // what Flush left of its batch for Run
	restBatch    []byte        // the batch that rest is part of
	restCharges  []Charge      // and its charges
	space        chan struct{} // closed when there is room again; nil while nobody waits
	err          error

	wake chan struct{}
	gone chan struct{}
}

// NewQueue returns a queue of at most limit bytes in front of sink. written, which
// may be nil, is called without locks whenever charged bytes have left; it must not
// block and must not keep its argument.
func NewQueue(sink Sink, limit int, written func([]Charge)) *Queue {
	return &Queue{sink: sink, limit: limit, written: written,
		wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// Put appends a message frame of the given size, written by encode, and charges it
// (Bytes 0: nobody). ErrFull leaves the queue as it was. An empty queue takes any
// one frame.
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
	if charge.Bytes > 0 {
		q.charge(charge)
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
	before := len(q.buf)
	q.buf = encode(q.buf)
	q.queued += len(q.buf) - before
}

func (q *Queue) charge(c Charge) {
	for i := len(q.charges) - 1; i >= 0 && i >= len(q.charges)-8; i-- {
		if e := &q.charges[i]; e.Process == c.Process && e.Lane == c.Lane {
			e.Bytes += c.Bytes
			return
		}
	}
	q.charges = append(q.charges, c)
}

// Queued returns how many bytes wait to be written.
func (q *Queue) Queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queued
}

// Space returns a channel that is closed once the queue is at most half full or
// closed. It is what a source waits on after ErrFull.
func (q *Queue) Space() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.space == nil {
		q.space = make(chan struct{})
		if q.err != nil || q.queued <= q.limit/2 {
			defer q.room()
		}
	}
	return q.space
}

// room tells who waits that there is space. The lock is held.
func (q *Queue) room() {
	if q.space != nil && (q.err != nil || q.queued <= q.limit/2) {
		close(q.space)
		q.space = nil
	}
}

// flushRounds is how many batches Flush writes before it leaves a busy queue to
// Run, so that no caller writes for all the others for ever.
const flushRounds = 4

// Flush writes what is queued as far as the socket takes it without blocking.
func (q *Queue) Flush() {
	q.mu.Lock()
	if q.writing || q.err != nil {
		q.mu.Unlock()
		return
	}
	q.writing = true
	for round := 0; len(q.buf) > 0 && q.err == nil; round++ {
		batch, charges := q.takeLocked()
		q.mu.Unlock()
		n := 0
		var err error
		if round < flushRounds {
			n, err = q.sink.TryWrite(batch)
		}
		if err == nil && n < len(batch) {
			q.mu.Lock()
			q.rest, q.restBatch, q.restCharges = batch[n:], batch, charges
			q.mu.Unlock()
			select {
			case q.wake <- struct{}{}:
			default:
			}
			return // Run owns the sink now
		}
		q.wrote(batch, charges, err) // returns with the lock held
	}
	q.writing = false
	q.mu.Unlock()
}

func (q *Queue) takeLocked() ([]byte, []Charge) {
	batch, charges := q.buf, q.charges
	q.buf, q.charges = q.spare[:0], q.spareCharges[:0]
	q.spare, q.spareCharges = nil, nil
	return batch, charges
}

// wrote accounts for a batch and returns with the lock held.
func (q *Queue) wrote(batch []byte, charges []Charge, err error) {
	if err == nil && q.written != nil && len(charges) > 0 {
		q.written(charges)
	}
	q.mu.Lock()
	q.queued -= len(batch)
	if cap(batch) <= keepBuffer {
		q.spare = batch[:0]
	}
	q.spareCharges = charges[:0]
	if err != nil && q.err == nil {
		q.closeLocked(err)
	}
	q.room()
}

// Run writes what Flush could not, until ctx ends or the link breaks, and returns
// why. Exactly one goroutine runs it. It does not close the socket: a Write that
// blocks is ended by whoever closes that.
func (q *Queue) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			q.Close(ErrClosed)
			return ctx.Err()
		case <-q.gone:
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.err
		case <-q.wake:
		}
		q.mu.Lock()
		rest, batch, charges := q.rest, q.restBatch, q.restCharges
		q.rest, q.restBatch, q.restCharges = nil, nil, nil
		for {
			q.mu.Unlock()
			_, err := q.sink.Write(rest)
			q.wrote(batch, charges, err)
			if len(q.buf) == 0 || q.err != nil {
				break
			}
			batch, charges = q.takeLocked()
			rest = batch
		}
		q.writing = false
		q.mu.Unlock()
	}
}

// Close makes every later Put fail with err and wakes who waits for space. What is
// still queued is dropped.
func (q *Queue) Close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.closeLocked(err)
	}
}

func (q *Queue) closeLocked(err error) {
	q.err = err
	close(q.gone)
	q.room()
}
