package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"time"
)

// receiver is a client at which the messages of a stream arrive.
type receiver struct {
	*client
	in   message   // as it arrived last
	gaps bool      // numbers may be left out: datagrams were lost, or are somebody else's
	last time.Time // when something arrived
}

// learn takes the form of all frames from the first one.
func (v *receiver) learn(frame []byte, out message) error {
	v.in = message{bytes: bytes.Clone(frame)}
	v.in.find()
	if len(v.in.numbers) != 1 {
		return fmt.Errorf("%q arrived", frame)
	}
	if out.group > 0 {
		v.in.group = bytes.Index(frame, out.bytes[out.group:out.group+len(zero)])
	}
	return nil
}

// expect compares a frame with what must come next.
func (v *receiver) expect(frame []byte) error {
	v.in.next()
	if g := v.in.group; g > 0 && len(frame) == len(v.in.bytes) {
		copy(v.in.bytes[g:g+len(zero)], frame[g:])
	}
	if bytes.Equal(frame, v.in.bytes) {
		return nil
	}
	if v.gaps && len(frame) == len(v.in.bytes) {
		if n := v.in.number(frame); n > v.in.number(v.in.bytes) {
			v.in.setNumber(n)
			if bytes.Equal(frame, v.in.bytes) {
				return nil
			}
		}
	}
	return fmt.Errorf("%q arrived instead of %q", frame, v.in.bytes)
}

func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
