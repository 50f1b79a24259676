package socket

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

// retryMoved is how long a message waits that was not taken for a move which has not
// come here yet, or has ended.
const retryMoved = time.Millisecond

// run reads until the connection ends, or has been silent for so long that it rests.
func (c *stream) run() {
	c.service.wake(c)
	cause := c.serve()
	c.service.calm(c)
	if cause == errSilent {
		go c.rest()
		return
	}
	c.end(cause)
}

// end is the end of the connection, and of its goroutine.
func (c *stream) end(cause error) {
	defer c.service.disown(c)
	defer c.decoder.release()
	c.gate.end()
	switch {
	case cause == io.EOF:
		cause = nil
		c.finish()
	case errors.Is(cause, errAbsurdLength):
		c.settle()
		defer c.linger()
	}
	c.client.Close(cause)
}

// serve receives messages until reading or receiving fails.
func (c *stream) serve() error {
	for {
		err := c.receive()
		c.putBuffer()
		if errors.Is(err, plugin.ErrMoved) {
			err = c.stand()
		}
		if err != nil {
			return err
		}
	}
}

// maxInputs is how many pieces of input are taken, as long as more is there, before what
// they produced is written.
const maxInputs = 4

// receive takes what was left behind, or else the next pieces or packet.
func (c *stream) receive() error {
	if err := c.receiveLeft(); err != nil {
		return err
	}
	if err := c.read(); err != nil {
		return err
	}
	defer c.client.Flush()
	if c.packets {
		return c.packet()
	}
	for inputs := 1; ; inputs++ {
		if err := c.decode(c.buffer[:c.n]); err != nil || c.n < readSize || inputs == maxInputs {
			return err
		}
		if more, err := c.readMore(); !more {
			return err
		}
	}
}

// receiveLeft takes the messages and the input that a move has left.
func (c *stream) receiveLeft() error {
	if len(c.parked) == 0 && len(c.unread) == 0 {
		return nil
	}
	defer c.client.Flush()
	for len(c.parked) > 0 {
		if err := c.take(c.parked[0]); err != nil {
			return err
		}
		c.parked = c.parked[1:]
	}
	c.parked = nil
	left := c.unread
	c.unread = nil
	return c.decode(left)
}

// decode takes a piece of input. What is behind a message that was not taken is kept.
func (c *stream) decode(piece []byte) error {
	rest, err := c.decoder.decode(piece, c)
	if errors.Is(err, plugin.ErrMoved) {
		c.unread = bytes.Clone(rest)
	}
	return err
}

// frame and reject are what the decoder found. A message that is not taken is kept.
func (c *stream) frame(p []byte) error {
	err := c.take(p)
	if errors.Is(err, plugin.ErrMoved) {
		c.parked = append(c.parked, bytes.Clone(p))
	}
	return err
}

func (c *stream) reject(code shared.Code, text string) { c.client.Reject(code, text) }

// take gives a message away, unless the client is to move.
func (c *stream) take(p []byte) error {
	if c.gate.wanted() {
		return plugin.ErrMoved
	}
	return c.service.received(c.client, c.address, p)
}

// stand waits while the client is given to another process. The error says that it is
// closed here.
func (c *stream) stand() error {
	if c.gate.wanted() {
		c.gate.stop()
	} else if !c.service.pause(retryMoved) {
		return errStopped
	}
	return c.file.SetReadDeadline(time.Time{}) // interrupt has set one
}

// interrupt ends the wait for input of a reader that is to stand.
func (c *stream) interrupt() { c.file.SetReadDeadline(longAgo) }

var longAgo = time.Unix(1, 0)

// read waits for the next piece or packet; its buffer is held until putBuffer.
func (c *stream) read() error {
	if err := c.limitWait(); err != nil {
		return err
	}
	// Asked after the deadline was set, else this one could undo that of interrupt.
	if c.gate.wanted() {
		return plugin.ErrMoved
	}
	err := c.raw.Read(c.tryRead)
	if err == nil {
		c.reads.Add(1)
		c.waiting = time.Time{}
		return c.err
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	switch idle := c.service.idle; {
	case idle > 0 && time.Since(c.waiting) >= idle:
		return errIdle
	case c.silent.Swap(false) && !c.gate.wanted():
		return errSilent
	}
	return plugin.ErrMoved
}

// readMore reads a piece that is there already, and reports whether one was.
func (c *stream) readMore() (bool, error) {
	c.dry = true
	err := c.raw.Read(c.tryRead)
	c.dry = false
	if err != nil || c.err == unix.EAGAIN { // an interrupt is for the next read
		return false, nil
	}
	return c.err == nil, c.err
}

// limitWait has read end with idle_timeout, counted from the last input.
func (c *stream) limitWait() error {
	if c.service.idle <= 0 {
		return nil
	}
	if c.waiting.IsZero() {
		c.waiting = time.Now()
	}
	return c.file.SetReadDeadline(c.waiting.Add(c.service.idle))
}

func (c *stream) readPiece(fd uintptr) bool {
	c.takeBuffer()
	for {
		c.n, c.err = unix.Read(int(fd), c.buffer[:])
		switch {
		case c.err == unix.EINTR:
			continue
		case c.err == unix.EAGAIN:
			if c.dry {
				return true
			}
			c.putBuffer()
			return false
		case c.err == nil && c.n == 0:
			c.err = io.EOF
		}
		return true
	}
}

func (c *stream) takeBuffer() {
	if c.buffer == nil {
		c.buffer = readBuffers.Get().(*[readSize]byte)
	}
}

func (c *stream) putBuffer() {
	c.big = nil
	if c.buffer != nil {
		readBuffers.Put(c.buffer)
		c.buffer = nil
	}
}
