package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/antano/antano/shared"
)

var errAbsurdLength = errors.New("length prefix over 64 MiB")

// frames is who gets what a decoder found. A frame is valid until the call returns;
// an error of either method ends the decoding.
type frames interface {
	frame(p []byte) error
	reject(code shared.Code, text string)
}

// decoder cuts a stream into frames, whatever the pieces it comes in. It keeps
// only the frame that is not complete yet, and of one over the limit nothing.
// Not safe for concurrent use. Source: docs/message.md "Framing".
type decoder struct {
	framing shared.Framing
	limit   int // max_message_bytes
	hold    *budget

	part   []byte // the incomplete frame's bytes so far
	header [4]byte
	have   int  // bytes of header
	length int  // length32: bytes of the frame, -1 while the header is incomplete
	skip   int  // length32: bytes of a refused frame still to come
	inSkip bool // line: within a refused line
}

func newDecoder(framing shared.Framing, limit int, hold *budget) decoder {
	return decoder{framing: framing, limit: limit, hold: hold, length: -1}
}

// decode takes the next piece of the stream. It returns the error of to.frame with what
// is behind that frame, or errAbsurdLength when the stream cannot be followed any further.
func (d *decoder) decode(p []byte, to frames) (rest []byte, err error) {
	if d.framing == shared.FramingLength32 {
		return d.decodeLength(p, to)
	}
	return d.decodeLine(p, to)
}

// unfinished reports whether the stream stopped within a frame.
func (d *decoder) unfinished() bool { return len(d.part) > 0 || d.have > 0 || d.length > 0 }

// release gives back what an incomplete frame held.
func (d *decoder) release() {
	d.hold.give(cap(d.part))
	d.part = nil
}

func (d *decoder) decodeLine(p []byte, to frames) (rest []byte, err error) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		rest = p[len(p):]
		piece := p
		if end >= 0 {
			piece, rest = p[:end], p[end+1:]
		}
		if err := d.linePiece(piece, end >= 0, to); err != nil {
			return rest, err
		}
		p = rest
	}
	return nil, nil
}

// linePiece takes a piece without newline; last says that the line ends behind it.
func (d *decoder) linePiece(piece []byte, last bool, to frames) error {
	if d.inSkip {
		d.inSkip = !last
		return nil
	}
	// One byte more may be the CR of the line's end.
	if len(d.part)+len(piece) > d.limit+1 {
		d.tooLarge(to)
		d.inSkip = !last
		return nil
	}
	if !last {
		if !d.grow(piece, d.limit+1) {
			d.overloaded(to)
			d.inSkip = true
		}
		return nil
	}
	line := piece
	if len(d.part) > 0 {
		if !d.grow(piece, d.limit+1) {
			d.overloaded(to)
			return nil
		}
		line = d.part
		defer d.release()
	}
	line = bytes.TrimSuffix(line, []byte{'\r'})
	switch {
	case len(line) == 0:
		return nil
	case len(line) > d.limit:
		d.tooLarge(to)
		return nil
	}
	return to.frame(line)
}

func (d *decoder) decodeLength(p []byte, to frames) (rest []byte, err error) {
	for len(p) > 0 {
		if d.skip > 0 {
			n := min(d.skip, len(p))
			d.skip -= n
			p = p[n:]
			continue
		}
		if d.length < 0 {
			n := copy(d.header[d.have:], p)
			d.have += n
			p = p[n:]
			if d.have < len(d.header) {
				return nil, nil
			}
			if err := d.begin(to); err != nil {
				return p, err
			}
			continue
		}
		n := min(d.length-len(d.part), len(p))
		if err := d.lengthPiece(p[:n], to); err != nil {
			return p[n:], err
		}
		p = p[n:]
	}
	return nil, nil
}

// begin takes a complete header.
func (d *decoder) begin(to frames) error {
	n := binary.BigEndian.Uint32(d.header[:])
	d.have = 0
	switch {
	case n == 0:
	case n > shared.MaxFrameBytes:
		to.reject(shared.CodeTooLarge, fmt.Sprintf("a length of %d bytes is over %d: the connection is closed; check that the peer sends 4-byte big-endian lengths", n, shared.MaxFrameBytes))
		return errAbsurdLength
	case int(n) > d.limit:
		d.tooLarge(to)
		d.skip = int(n)
	default:
		d.length = int(n)
	}
	return nil
}

// lengthPiece takes a piece of the current frame that does not reach beyond it.
func (d *decoder) lengthPiece(piece []byte, to frames) error {
	if len(d.part) == 0 && len(piece) == d.length {
		d.length = -1
		return to.frame(piece)
	}
	if !d.grow(piece, d.length) {
		d.skip = d.length - len(d.part) - len(piece)
		d.length = -1
		d.overloaded(to)
		return nil
	}
	if len(d.part) < d.length {
		return nil
	}
	d.length = -1
	defer d.release()
	return to.frame(d.part)
}

// grow appends to the incomplete frame. Its memory follows what has arrived, never
// what was announced, up to bound.
func (d *decoder) grow(piece []byte, bound int) bool {
	need := len(d.part) + len(piece)
	if need > cap(d.part) {
		size := min(max(need, 2*cap(d.part), 64), bound)
		if !d.hold.take(size) {
			return false
		}
		part := make([]byte, len(d.part), size)
		copy(part, d.part)
		d.hold.give(cap(d.part))
		d.part = part
	}
	d.part = append(d.part, piece...)
	return true
}

func (d *decoder) tooLarge(to frames) {
	d.release()
	to.reject(shared.CodeTooLarge, fmt.Sprintf("the message is over max_message_bytes (%d): send less or raise the limit", d.limit))
}

func (d *decoder) overloaded(to frames) {
	d.release()
	to.reject(shared.CodeOverloaded, "incomplete messages fill process_queue_bytes: send messages in fewer pieces or raise the limit")
}
