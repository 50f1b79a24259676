package relay

import "github.com/antano/antano/shared/wire"

// outbox remembers which links got frames, so that each is flushed once when the
// input runs dry. One goroutine uses it.
type outbox struct{ dirty []*Link }

// manyDirty bounds the list.
const manyDirty = 128

func (o *outbox) mark(l *Link) {
	for i := len(o.dirty) - 1; i >= 0 && i >= len(o.dirty)-8; i-- {
		if o.dirty[i] == l {
			return
		}
	}
	if o.dirty = append(o.dirty, l); len(o.dirty) >= manyDirty {
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
