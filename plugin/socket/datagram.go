package socket

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

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

// run reads until stop.
func (r *slotReader) run() {
	sl := r.slot
	defer sl.service.tasks.Done()
	defer close(r.gone)
	defer r.file.Close()
	defer r.flush()
	for {
		if err := r.raw.Read(r.tryRead); err != nil {
			return
		}
		sl.round.begin()
		if !r.handle() {
			return
		}
		sl.round.end()
	}
}

// handle takes what a read returned and reports whether to go on.
func (r *slotReader) handle() bool {
	sl := r.slot
	switch {
	case r.got.dry:
		r.flush()
		return true
	case r.err == nil:
		r.receive(&r.got)
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

// readDatagram reads one datagram, or says that answers can be flushed, or waits.
func (r *slotReader) readDatagram(fd uintptr) bool {
	if r.buffer == nil {
		r.buffer = r.slot.buffers.Get().(*[]byte)
	}
	var n, nc, flags int
	for {
		n, nc, flags, r.got.from, r.err = unix.Recvmsg(int(fd), *r.buffer, r.control[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if r.err != unix.EINTR {
			break
		}
	}
	r.got.dry = false
	if r.err == unix.EAGAIN {
		if len(r.touched) > 0 {
			r.got.dry = true
			return true
		}
		r.slot.buffers.Put(r.buffer)
		r.buffer = nil
		return false
	}
	r.got.size, r.got.cut = n, flags&unix.MSG_TRUNC != 0
	r.got.anc = parseAncillary(r.control[:max(nc, 0)])
	return true
}

// receive gives a datagram to its source's client. An empty one is a keep-alive.
func (r *slotReader) receive(d *datagram) {
	now := time.Now().UnixNano()
	for range 2 {
		src, err := r.slot.sourceOf(d, now)
		if err != nil {
			r.slot.refuse(d, (*r.buffer)[:min(d.size, len(*r.buffer))], refusalOf(err), now)
			return
		}
		r.touch(src)
		switch {
		case d.cut:
			src.client.Reject(shared.CodeTooLarge, tooLargeText(d.size, len(*r.buffer)))
			return
		case d.size == 0:
			return
		}
		if r.slot.service.received(src.client, src.address, (*r.buffer)[:d.size]) == nil {
			return
		}
		// The client was closed from elsewhere: who sends again is a new one.
		r.slot.remove(src, os.ErrClosed)
	}
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
