package socket

import (
	"bytes"
	"errors"
	"os"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// datagram is what a batch has of one.
type datagram struct {
	size int // real length, also of what was cut
	cut  bool
	from sockaddr
	anc  ancillary
}

// receiveBatch gives the datagrams of a batch away.
func (r *slotReader) receiveBatch(n int) {
	now := time.Now().UnixNano()
	for i := range n {
		d, payload := r.batch.datagram(i)
		r.receive(&d, payload, now)
	}
	if r.since += n; r.since >= datagramBatch {
		r.flush()
	}
}

// receive gives a datagram to its source's client. An empty one is a keep-alive.
func (r *slotReader) receive(d *datagram, payload []byte, now int64) {
	for range 2 {
		src, err := r.slot.sourceOf(d, now)
		if err != nil {
			r.slot.refuse(d, payload, refusalOf(err), now)
			return
		}
		r.touch(src)
		switch {
		case d.cut:
			src.client.Reject(shared.CodeTooLarge, tooLargeText(d.size, len(payload)))
			return
		case d.size == 0:
			return
		}
		switch err = r.take(src, payload); {
		case err == nil:
			return
		case err == error(errNoRoom):
			r.slot.fail(d, payload, errNoRoom, now)
			return
		case errors.Is(err, plugin.ErrMoved):
			r.park(d, payload)
			return
		}
		// The client was closed from elsewhere: who sends again is a new one.
		r.slot.remove(src, os.ErrClosed)
	}
}

// park keeps a datagram that was not taken.
func (r *slotReader) park(d *datagram, payload []byte) {
	p := &parked{datagram: *d, payload: bytes.Clone(payload)}
	p.from = bytes.Clone(d.from)
	r.parked = append(r.parked, p)
}

// errNoRoom is the fate of a message for whose source, which has just come, too many wait.
var errNoRoom = shared.Errorf(shared.CodeOverloaded, "too many messages wait for a client that has just moved: send slower and try again")

// take gives a message away, unless its source is about to move or has just come. What is
// behind a datagram that was not taken is not taken either, to come in order.
func (r *slotReader) take(src *source, payload []byte) error {
	if len(r.parked) > 0 || r.gate.wanted() {
		return plugin.ErrMoved
	}
	switch asleep, kept := src.queue(payload); {
	case kept:
		return nil
	case asleep:
		return errNoRoom
	}
	return r.slot.service.received(src.client, src.address, payload)
}

func (r *slotReader) touch(src *source) {
	if !src.touched {
		src.touched = true
		r.touched = append(r.touched, src)
	}
}

func (r *slotReader) flush() {
	for i, src := range r.touched {
		src.client.Flush()
		src.touched = false
		r.touched[i] = nil
	}
	r.touched, r.since = r.touched[:0], 0
}
