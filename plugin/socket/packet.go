package socket

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
)

// readPacket reads one seqpacket. Its size is asked first, so that a buffer of the
// largest message is held only for a large one, and an oversized one never.
func (c *stream) readPacket(fd uintptr) bool {
	c.n, c.err = packetSize(int(fd))
	switch {
	case c.err == unix.EAGAIN:
		return false
	case c.err != nil:
		return true
	case c.n == 0 && packetsEnded(int(fd)):
		c.err = io.EOF
		return true
	}
	var into []byte
	switch {
	case c.n > c.decoder.limit:
	case c.n > readSize:
		c.big = make([]byte, c.n)
		into = c.big
	default:
		c.takeBuffer()
		into = c.buffer[:]
	}
	// Reading takes the whole packet, also when it does not fit.
	_, _, c.err = unix.Recvfrom(int(fd), into, unix.MSG_DONTWAIT)
	return true
}

// packet handles what readPacket read. An empty packet is a keep-alive.
func (c *stream) packet() error {
	switch {
	case c.n == 0:
		return nil
	case c.n > c.decoder.limit:
		c.client.Reject(shared.CodeTooLarge, tooLargeText(c.n, c.decoder.limit))
		return nil
	case c.big != nil:
		return c.frame(c.big)
	}
	return c.frame(c.buffer[:c.n])
}

func tooLargeText(n, limit int) string {
	return fmt.Sprintf("the message of %d bytes is over max_message_bytes (%d): send less or raise the limit", n, limit)
}

// packetSize is the size of the next packet, which stays queued.
func packetSize(fd int) (int, error) {
	var one [1]byte
	for {
		n, _, err := unix.Recvfrom(fd, one[:], unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// packetsEnded tells the end of a connection from an empty packet, for both of
// which the kernel returns 0.
func packetsEnded(fd int) bool {
	if poll(fd, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) == 0 {
		return false
	}
	queued, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	return err != nil || queued == 0
}
