package logs

import (
	"bytes"
	"io"
)

// splitter cuts a stream into lines of bounded length.
type splitter struct {
	max  int
	part []byte // of a line whose end has not come
	skip int    // bytes left out of it
	line func(line []byte, skipped int)
}

// write gives every line that is complete to s.line, without its end. What is longer
// than max is cut, and how much was cut is told.
func (s *splitter) write(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		piece := p
		if end >= 0 {
			piece = p[:end]
		}
		room := min(len(piece), s.max-len(s.part))
		s.part = append(s.part, piece[:room]...)
		s.skip += len(piece) - room
		if end < 0 {
			return
		}
		s.flush()
		p = p[end+1:]
	}
}

// flush gives out what there is of a line.
func (s *splitter) flush() {
	s.line(bytes.TrimSuffix(s.part, []byte("\r")), s.skip)
	s.part, s.skip = s.part[:0], 0
	if cap(s.part) > keepBuffer {
		s.part = nil
	}
}

// keepBuffer is how large a buffer may be that is kept between lines.
const keepBuffer = 4096

// end gives out the last line if it has no end.
func (s *splitter) end() {
	if len(s.part) > 0 || s.skip > 0 {
		s.flush()
	}
}

// pump reads r until it ends and sends what it reads, in buffers of its own that come
// back through free.
func pump(r io.Reader, chunks chan<- []byte, free <-chan []byte) error {
	defer close(chunks)
	for {
		var buf []byte
		select {
		case buf = <-free:
		default:
			buf = make([]byte, chunkSize)
		}
		n, err := r.Read(buf[:chunkSize])
		if n > 0 {
			chunks <- buf[:n]
		}
		if err != nil {
			return err
		}
	}
}

const chunkSize = 4 << 10
