package wire

import (
	"fmt"
	"io"
)

// readBuffer is the least that one read asks for, once a read of firstBuffer has found
// more: a quiet link keeps little.
const (
	firstBuffer = 4 << 10
	readBuffer  = 64 << 10
)

// Reader cuts a byte stream into frames. One goroutine uses it.
type Reader struct {
	src        io.Reader
	buf        []byte
	start, end int
	least      int // that buf has room for
}

// NewReader reads frames from src.
func NewReader(src io.Reader) *Reader {
	return &Reader{src: src, buf: make([]byte, firstBuffer), least: firstBuffer}
}

// Next returns the next frame and blocks until it is there. What it returned
// before is overwritten. io.EOF means the peer closed between two frames; a frame
// cut short is io.ErrUnexpectedEOF; a length out of bounds wraps ErrFrame.
func (r *Reader) Next() (Frame, error) {
	for {
		f, n, need, err := Next(r.buf[r.start:r.end])
		if err != nil {
			return Frame{}, err
		}
		if n > 0 {
			r.start += n
			return f, nil
		}
		if err := r.fill(need); err != nil {
			return Frame{}, err
		}
	}
}

// Dry reports whether no whole frame is left in the buffer: the next call to Next
// would read, so this is the moment to flush what was produced so far.
func (r *Reader) Dry() bool {
	_, n, _, err := Next(r.buf[r.start:r.end])
	return n == 0 && err == nil
}

func (r *Reader) fill(need int) error {
	have := r.end - r.start
	if have == 0 {
		r.start, r.end = 0, 0
		if len(r.buf) > 16*readBuffer { // one large frame must not cost its size for ever
			r.buf = make([]byte, readBuffer)
		}
	}
	if len(r.buf)-r.start < max(need, r.least/2) {
		dst := r.buf
		if size := max(need, r.least); size > len(r.buf) {
			dst = make([]byte, size)
		}
		copy(dst, r.buf[r.start:r.end])
		r.buf, r.start, r.end = dst, 0, have
	}
	n, err := r.src.Read(r.buf[r.end:])
	if r.end += n; r.end == len(r.buf) {
		r.least = readBuffer
	}
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	if err == io.EOF && have > 0 {
		return fmt.Errorf("link closed in the middle of a frame: %w", io.ErrUnexpectedEOF)
	}
	return err
}
