package relay

import "github.com/antano/antano/shared/wire"

// outbox remembers which links got frames, so that each is flushed once when the
// input runs dry. One goroutine uses it, and flushes it without a lock or gate.
type outbox struct{ dirty []*Link }

// manyDirty is how many links are remembered before they are flushed all the same.
const manyDirty = 128

func (o *outbox) mark(l *Link) {
	for i := len(o.dirty) - 1; i >= 0 && i >= len(o.dirty)-8; i-- {
		if o.dirty[i] == l {
			return
		}
	}
	o.dirty = append(o.dirty, l)
}

func (o *outbox) full() bool { return len(o.dirty) >= manyDirty }

// trim flushes a list that is full.
func (o *outbox) trim() {
	if o.full() {
		o.flush()
	}
}

func (o *outbox) flush() {
	for i, l := range o.dirty {
		l.queue.Flush()
		o.dirty[i] = nil
	}
	o.dirty = o.dirty[:0]
}

// result queues a result for l.
func (o *outbox) result(l *Link, res *wire.Result) {
	if l.control(func(dst []byte) []byte { return wire.AppendResult(dst, res) }) {
		o.mark(l)
	}
}
