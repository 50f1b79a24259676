package socket

import (
	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// maxPieces is how many messages one system call takes (IOV_MAX).
const maxPieces = 1024

// Write sends messages, gathered into few system calls. Source: plugin.Writer.
func (c *stream) Write(messages [][]byte, wait bool) (n int, err error) {
	write := writePieces
	if c.packets {
		write = writePackets
	}
	rest := unwritten{messages: messages}
	werr := c.raw.Write(func(fd uintptr) bool {
		err = write(int(fd), &rest)
		return err != unix.EAGAIN || !wait
	})
	if werr != nil {
		return rest.written, werr
	}
	if err == unix.EAGAIN {
		err = plugin.ErrWouldBlock
	}
	return rest.written, err
}

// Close ends the connection and with it its reader and a Write that waits. Source:
// plugin.Writer.
func (c *stream) Close() error { return c.file.Close() }

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
	var pieces [][]byte
	for len(u.messages) > 0 {
		var n int
		var err error
		if len(u.messages) == 1 {
			n, err = unix.Write(fd, u.messages[0][u.offset:])
		} else {
			pieces = append(pieces[:0], u.messages[:min(len(u.messages), maxPieces)]...)
			pieces[0] = pieces[0][u.offset:]
			n, err = unix.Writev(fd, pieces)
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
