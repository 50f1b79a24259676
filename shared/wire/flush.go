package wire

import "context"

// flushRounds is how many batches Flush writes before it leaves a busy queue to
// Run, so that no caller writes for all the others for ever.
const flushRounds = 4

// Flush writes what is queued as far as the socket takes it without blocking.
func (q *Queue) Flush() {
	q.mu.Lock()
	if q.writing || q.detached || q.err != nil {
		q.mu.Unlock()
		return
	}
	q.writing = true
	for round := 0; len(q.next.bytes) > 0 && q.err == nil && !q.detached; round++ {
		b := q.takeLocked()
		q.mu.Unlock()
		n := 0
		var err error
		if round < flushRounds {
			n, err = q.sink.TryWrite(b.bytes)
		}
		if err == nil && n < len(b.bytes) && q.handOver(b, n) {
			return
		}
		q.done(b, n, err) // returns with the lock held
	}
	q.stopWriting()
	q.mu.Unlock()
}

func (q *Queue) stopWriting() {
	q.writing = false
	q.quiet.Broadcast()
}

// handOver leaves b, of which n bytes are written, to Run, which then owns the
// sink. It fails on a queue that was closed meanwhile.
func (q *Queue) handOver(b batch, n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false
	}
	q.rest, q.written, q.handed = b, n, true
	q.quiet.Broadcast()
	q.Wake()
	return true
}

// Wake makes Run flush: for who must not write to the socket itself. It never
// blocks.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *Queue) takeLocked() batch {
	b := q.next
	q.next = q.spare
	q.spare = batch{}
	return b
}

// done accounts for a batch that was written, or not, and returns with the lock
// held.
func (q *Queue) done(b batch, n int, err error) {
	q.report(b.charges)
	q.mu.Lock()
	q.queued -= len(b.bytes)
	if n < len(b.bytes) {
		q.lost += b.silent
	}
	switch {
	case q.survives && n < len(b.bytes) && q.err == nil:
		q.detached = true
		q.putBack(b.bytes, n)
	case err != nil && q.err == nil:
		dropped := q.closeLocked(err)
		q.mu.Unlock()
		for _, d := range dropped {
			q.report(d.charges)
		}
		q.mu.Lock()
	}
	clear(b.charges)
	q.spare = batch{charges: b.charges[:0]}
	if cap(b.bytes) <= keepBuffer {
		q.spare.bytes = b.bytes[:0]
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
			q.drain()
		}
	}
}

// drain finishes the batch that was handed over and then writes all there is.
func (q *Queue) drain() {
	q.mu.Lock()
	var b batch
	at := 0
	switch {
	case q.err != nil:
		q.mu.Unlock()
		return
	case q.handed:
		b, at = q.rest, q.written
		q.rest, q.handed = batch{}, false
	case !q.writing && !q.detached && len(q.next.bytes) > 0:
		b = q.takeLocked()
		q.writing = true
	default:
		q.mu.Unlock()
		return
	}
	for {
		q.mu.Unlock()
		n, err := q.sink.Write(b.bytes[at:])
		q.done(b, at+n, err)
		if len(q.next.bytes) == 0 || q.detached || q.err != nil {
			break
		}
		b, at = q.takeLocked(), 0
	}
	q.stopWriting()
	q.mu.Unlock()
}
