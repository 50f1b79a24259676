package wire

import "encoding/binary"

// Survive makes a write that fails detach the queue instead of closing it. Call it
// before the first Put; such a queue keeps no charges.
func (q *Queue) Survive() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.survives = true
}

// Hold keeps back what is put from now on, except what pass lets through, until
// Release or Attach. What was put before leaves as ever.
func (q *Queue) Hold(pass func(Type) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass = pass
}

// Release queues what Hold kept back and holds nothing any more. Flush writes it.
func (q *Queue) Release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.releaseLocked()
}

func (q *Queue) releaseLocked() {
	q.next.bytes = append(q.next.bytes, q.kept...)
	q.kept, q.pass = nil, nil
}

// Detach takes the sink away, which the caller has closed, and returns when nobody
// writes to it. What was not written whole waits for Attach, in front of what is put
// from now on.
func (q *Queue) Detach() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.detached = true
	for q.writing && !q.handed {
		q.quiet.Wait()
	}
	if q.handed {
		q.queued -= len(q.rest.bytes)
		q.putBack(q.rest.bytes, q.written)
		q.rest, q.handed, q.writing = batch{}, false, false
	}
}

// putBack puts the frames that were not written whole in front of the queue: n bytes
// of them were written. The lock is held.
func (q *Queue) putBack(frames []byte, n int) {
	at := 0
	for at < n {
		size := 4 + int(binary.BigEndian.Uint32(frames[at:]))
		if at+size > n {
			break
		}
		at += size
	}
	q.prepend(frames[at:])
}

func (q *Queue) prepend(frames []byte) {
	q.queued += len(frames)
	if len(frames) > 0 {
		q.next.bytes = append(append(make([]byte, 0, len(frames)+len(q.next.bytes)), frames...), q.next.bytes...)
	}
}

// Waiting calls f with every frame that waits in a detached queue, in order. f must
// not use the queue.
func (q *Queue) Waiting(f func(Frame)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting(f)
}

func (q *Queue) waiting(f func(Frame)) {
	for _, rest := range [][]byte{q.next.bytes, q.kept} {
		for {
			frame, n, _, err := Next(rest)
			if n == 0 || err != nil {
				break
			}
			f(frame)
			rest = rest[n:]
		}
	}
}

// Attach gives a detached queue a new sink: first is written to it before what waits,
// and nothing is held any more. Flush begins with it.
func (q *Queue) Attach(sink Sink, first []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.prepend(first)
	q.releaseLocked()
	q.sink, q.detached = sink, false
}

// SentSilent returns how many message frames without a token left a detached queue,
// maybe in part: those ever put that do not wait.
func (q *Queue) SentSilent() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	sent := q.silent
	q.waiting(func(f Frame) {
		var m Message
		if f.Type == TypeMessage && m.Parse(f.Body) == nil && m.Token == 0 {
			sent--
		}
	})
	return sent
}
