package socket

import (
	"bytes"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// datagram is what one read returned.
type datagram struct {
	size int // real length, also of what was cut
	cut  bool
	from unix.Sockaddr // nil for an unbound unix sender
	anc  ancillary
	dry  bool // nothing there, and answers wait to be flushed
}

// handle takes what a read returned and reports whether to go on.
func (r *slotReader) handle() bool {
	sl := r.slot
	switch {
	case r.got.dry:
		r.flush()
		return true
	case r.err == nil:
		r.receive(&r.got, (*r.buffer)[:min(r.got.size, len(*r.buffer))])
		if len(r.touched) >= datagramBatch {
			r.flush()
		}
		return true
	case errors.Is(r.err, unix.ECONNREFUSED), errors.Is(r.err, unix.EHOSTUNREACH), errors.Is(r.err, unix.ENETUNREACH):
		return true // an earlier answer's fate, not this socket's
	}
	sl.service.host.Logger().Warn("cannot read: trying again", "socket", sl.socket.Name, "err", r.err)
	return sl.service.pause(maxRetryPause)
}

// receive gives a datagram to its source's client. An empty one is a keep-alive.
func (r *slotReader) receive(d *datagram, payload []byte) {
	now := time.Now().UnixNano()
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
			r.parked = &parked{datagram: *d, payload: bytes.Clone(payload)}
			return
		}
		// The client was closed from elsewhere: who sends again is a new one.
		r.slot.remove(src, os.ErrClosed)
	}
}

// errNoRoom is the fate of a message for whose source, which has just come, too many wait.
var errNoRoom = shared.Errorf(shared.CodeOverloaded, "too many messages wait for a client that has just moved: send slower and try again")

// take gives a message away, unless its source is about to move or has just come.
func (r *slotReader) take(src *source, payload []byte) error {
	if r.gate.wanted() {
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
	r.touched = r.touched[:0]
}
