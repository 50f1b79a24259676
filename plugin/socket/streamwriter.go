package socket

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// maxPieces is how many messages one system call takes (IOV_MAX).
const maxPieces = 1024

// output is what a Write of a stream is about; calls of Write never overlap.
type output struct {
	unwritten
	wait bool
	err  error
	try  func(fd uintptr) bool
}

// Write sends messages, gathered into few system calls. Source: plugin.Writer.
func (c *stream) Write(messages [][]byte, wait bool) (n int, err error) {
	o := &c.out
	o.unwritten, o.wait = unwritten{messages: messages}, wait
	err = c.raw.Write(o.try)
	n = o.written
	if err == nil {
		err = o.err
	}
	o.unwritten = unwritten{}
	if err == unix.EAGAIN || errors.Is(err, os.ErrDeadlineExceeded) {
		err = plugin.ErrWouldBlock
	}
	return n, err
}

func (c *stream) writeSome(fd uintptr) bool {
	o := &c.out
	if c.packets {
		o.err = writePackets(int(fd), &o.unwritten)
	} else {
		o.err = writePieces(int(fd), &o.unwritten)
	}
	return o.err != unix.EAGAIN || !o.wait
}

// Interrupt ends a Write that waits, and every later one at its start. Source:
// plugin.InterruptedWriter.
func (c *stream) Interrupt() { c.file.SetWriteDeadline(longAgo) }

// Close ends the connection and with it its reader and a Write that waits. It closes
// the descriptor alone: a process that the client has moved to keeps the connection.
// Source: plugin.Writer.
func (c *stream) Close() error {
	err := c.file.Close()
	c.gate.open() // a reader that stands finds it closed
	return err
}

// unwritten is what is left of messages; the slice and its bytes are the caller's
// and stay as they are.
type unwritten struct {
	messages [][]byte
	offset   int // bytes of the first message that are written
	written  int
}

// advance takes n written bytes off, and empty messages behind them.
func (u *unwritten) advance(n int) {
	u.written += n
	for len(u.messages) > 0 {
		left := len(u.messages[0]) - u.offset
		if n < left {
			u.offset += n
			return
		}
		n -= left
		u.offset = 0
		u.messages = u.messages[1:]
	}
}

// writePieces writes all, or up to an error: EAGAIN when the socket is full.
func writePieces(fd int, u *unwritten) error {
	for len(u.messages) > 0 {
		var n int
		var err error
		// A message that is begun goes alone, so that the slice stays as it is.
		if len(u.messages) == 1 || u.offset > 0 {
			n, err = unix.Write(fd, u.messages[0][u.offset:])
		} else {
			n, err = unix.Writev(fd, u.messages[:min(len(u.messages), maxPieces)])
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		u.advance(n)
	}
	return nil
}

// writePackets sends each message as one packet.
func writePackets(fd int, u *unwritten) error {
	for len(u.messages) > 0 {
		p := u.messages[0]
		_, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		switch err {
		case unix.EINTR:
			continue
		case unix.EMSGSIZE:
			return shared.Errorf(shared.CodeTooLarge, "a message of %d bytes is over what the socket carries: send less", len(p))
		case nil:
			u.messages, u.written = u.messages[1:], u.written+len(p)
		default:
			return err
		}
	}
	return nil
}
