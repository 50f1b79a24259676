package socket

import (
	"sync"

	"golang.org/x/sys/unix"
)

const (
	maxBatch    = 16      // datagrams received by one system call
	maxBatchMem = 4 << 20 // bytes of room for them, if that is enough for one
	controlSize = 64      // room for the address that a datagram was sent to
)

// inBatch is what one system call receives. It is held from a read until all of it was
// given away: an idle socket has none.
type inBatch struct {
	size    int // the largest datagram that fits
	payload []byte
	headers []mmsghdr
	pieces  []unix.Iovec
	names   [][maxSockaddr]byte
	control [][controlSize]byte
}

// batches lends room for datagrams of at most size bytes.
func batches(size int) *sync.Pool {
	return &sync.Pool{New: func() any { return newInBatch(size) }}
}

func newInBatch(size int) *inBatch {
	n := min(max(maxBatchMem/size, 1), maxBatch)
	b := &inBatch{
		size: size, payload: make([]byte, n*size),
		headers: make([]mmsghdr, n), pieces: make([]unix.Iovec, n),
		names: make([][maxSockaddr]byte, n), control: make([][controlSize]byte, n),
	}
	for i := range n {
		b.pieces[i].Base = &b.payload[i*size]
		b.pieces[i].SetLen(size)
		h := &b.headers[i]
		h.Iov = &b.pieces[i]
		h.SetIovlen(1)
		h.Name = &b.names[i][0]
		h.Control = &b.control[i][0]
	}
	return b
}

// read receives what waits, at least one datagram, with the address asked if that is
// wanted. more is false when nothing was left: whatever comes then makes the socket
// readable anew.
func (b *inBatch) read(fd int, local bool) (n int, more bool, err error) {
	for i := range b.headers {
		h := &b.headers[i]
		h.Namelen = maxSockaddr
		h.SetControllen(0) // descriptors that a unix sender passes find no room
		if local {
			h.SetControllen(controlSize)
		}
	}
	n, err = recvmmsg(fd, b.headers)
	return n, n == len(b.headers), err
}

// datagram is one of those that read returned, valid until the next read.
func (b *inBatch) datagram(i int) (d datagram, payload []byte) {
	h := &b.headers[i]
	d = datagram{size: int(h.size), cut: h.Flags&unix.MSG_TRUNC != 0}
	d.from = b.names[i][:min(h.Namelen, maxSockaddr)]
	d.anc = parseAncillary(b.control[i][:min(h.Controllen, controlSize)])
	return d, b.payload[i*b.size:][:min(d.size, b.size)]
}
