package socket

import (
	"time"

	"golang.org/x/sys/unix"
)

// Unsent is what a TCP peer has not acknowledged: closing a connection with input that
// nobody has read resets it, and what is under way with it. So the first call that finds
// some ends our half, and each discards what the peer sends. A peer that does not
// acknowledge within lingerTime is not waited for: the kernel goes on sending by itself
// after the close. Source: plugin.UnsentWriter, tcp(7) SIOCOUTQ.
func (c *stream) Unsent() (n int) {
	if !c.tcp {
		return 0
	}
	c.raw.Control(func(fd uintptr) { n = c.unsent(int(fd)) })
	return n
}

func (c *stream) unsent(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil || n == 0 {
		return 0
	}
	now := time.Now().UnixNano()
	if c.lingered.CompareAndSwap(0, now) {
		unix.Shutdown(fd, unix.SHUT_WR)
	}
	discard(fd)
	if now-c.lingered.Load() >= int64(lingerTime) {
		return 0
	}
	return n
}

// discard takes input that waits, as far as one call may: a peer can send for ever.
func discard(fd int) {
	var into [4096]byte
	for range maxDiscards {
		// With MSG_TRUNC the kernel copies nothing. Source: tcp(7).
		n, _, err := unix.Recvfrom(fd, into[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		if err != unix.EINTR && (err != nil || n == 0) {
			return
		}
	}
}
