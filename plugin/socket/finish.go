package socket

import (
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// finish is the orderly end: the peer sends nothing more, but may still read. What
// is owed is answered, then the connection is closed.
func (c *stream) finish() {
	if c.decoder.unfinished() {
		c.client.Reject(shared.CodeBadMessage, "the connection ended within a message: end the message before closing")
	}
	c.settle()
}

// settle waits until nothing is owed to the client, it cannot be answered any more,
// or the longest time for an answer is over.
func (c *stream) settle() {
	c.client.Flush()
	end := time.Now().Add(answerTime)
	for wait := time.Millisecond; c.client.Owed() && !c.peerGone() && time.Now().Before(end); wait = min(2*wait, maxSettlePause) {
		if !c.service.pause(wait) {
			return
		}
	}
}

// peerGone reports whether nothing can be written any more.
func (c *stream) peerGone() bool {
	gone := false
	err := c.raw.Control(func(fd uintptr) { gone = poll(int(fd), 0)&(unix.POLLHUP|unix.POLLERR) != 0 })
	return gone || err != nil
}

// linger closes the sending half and discards what still comes, for lingerTime at
// most: closing with unread input would destroy the answer on its way.
func (c *stream) linger() {
	if err := c.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return
	}
	if err := c.file.SetReadDeadline(time.Now().Add(lingerTime)); err != nil {
		return
	}
	io.Copy(io.Discard, c.file)
}
