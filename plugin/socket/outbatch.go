package socket

import (
	"sync"

	"golang.org/x/sys/unix"
)

// maxSent is how many datagrams one system call sends, as many as a client's Write gets.
const maxSent = 64

// outBatch is what one system call needs to send.
type outBatch struct {
	headers [maxSent]mmsghdr
	pieces  [maxSent]unix.Iovec
}

var outBatches = sync.Pool{New: func() any { return new(outBatch) }}

// sendTo sends messages as datagrams as far as the socket takes them without waiting.
// sent is at least 1 when err is nil.
func sendTo(fd int, to sockaddr, control []byte, messages [][]byte) (sent int, err error) {
	b := outBatches.Get().(*outBatch)
	defer outBatches.Put(b)
	n := min(len(messages), maxSent)
	defer b.forget(n)
	for i, m := range messages[:n] {
		b.add(i, to, control, m)
	}
	return sendmmsg(fd, b.headers[:n])
}

func (b *outBatch) add(i int, to sockaddr, control, m []byte) {
	h, piece := &b.headers[i].Msghdr, &b.pieces[i]
	h.Name, h.Namelen = &to[0], uint32(len(to))
	if len(control) > 0 {
		h.Control = &control[0]
		h.SetControllen(len(control))
	}
	if len(m) > 0 {
		piece.Base = &m[0]
		piece.SetLen(len(m))
	}
	h.Iov = piece
	h.SetIovlen(1)
}

// forget lets go of n messages.
func (b *outBatch) forget(n int) {
	clear(b.headers[:n])
	clear(b.pieces[:n])
}
