package history

import (
	"sync"
)

// overhead is what a record costs beside its own size.
const overhead = 64

// Ring keeps the newest records. Records have sequence numbers from 1 on, without
// gaps. Safe for concurrent use; nothing but Reader.Next blocks.
type Ring[T any] struct {
	limit int

	mu      sync.Mutex // guards what follows
	records []record[T]
	bytes   int
	next    uint64        // the sequence number of the next record
	added   chan struct{} // closed by the next Add; nil while nobody waits
}

type record[T any] struct {
	value T
	size  int
}

// New returns a ring for records of limit bytes together; the newest one is kept
// however large it is.
func New[T any](limit int) *Ring[T] { return &Ring[T]{limit: limit, next: 1} }

// Add remembers the record that build makes with its sequence number, and forgets the
// oldest ones that are too much. size is its size in bytes. build must not use the ring.
func (r *Ring[T]) Add(size int, build func(sequence uint64) T) {
	size += overhead
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record[T]{build(r.next), size})
	r.next++
	r.bytes += size
	for r.bytes > r.limit && len(r.records) > 1 {
		r.bytes -= r.records[0].size
		r.records[0] = record[T]{} // or the array would keep it
		r.records = r.records[1:]
	}
	if r.added != nil {
		close(r.added)
		r.added = nil
	}
}

// Next is the sequence number that the next record will have.
func (r *Ring[T]) Next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// Since returns a reader of the records from a sequence number on. Of 0 and 1 it is a
// reader of all that are remembered, and those forgotten before do not count as missed.
func (r *Ring[T]) Since(sequence uint64) *Reader[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sequence <= 1 {
		sequence = r.oldest()
	}
	return &Reader[T]{ring: r, at: min(sequence, r.next)}
}

// oldest is the sequence number of the oldest record. r.mu is held.
func (r *Ring[T]) oldest() uint64 { return r.next - uint64(len(r.records)) }

// wait returns a channel that is closed when there is a record from a sequence number
// on; nil when there is.
func (r *Ring[T]) wait(sequence uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sequence < r.next {
		return nil
	}
	if r.added == nil {
		r.added = make(chan struct{})
	}
	return r.added
}
