package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/antano/antano/shared"
)

// framing is how messages are told apart.
func framing(c *Config) (func([]byte) []byte, func(*bufio.Reader) ([]byte, error)) {
	frame, unwrap := packet, readPacket
	switch c.Params.FramingIn {
	case shared.FramingLine:
		frame = func(b []byte) []byte { return append(bytes.Clone(b), '\n') }
	case shared.FramingLength32:
		frame = func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	}
	switch c.Params.FramingOut {
	case shared.FramingLine:
		unwrap = readLine
	case shared.FramingLength32:
		unwrap = readLength
	}
	return frame, unwrap
}

func packet(b []byte) []byte { return b }

func readPacket(r *bufio.Reader) ([]byte, error) {
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	b := make([]byte, r.Buffered())
	_, err := io.ReadFull(r, b)
	return b, err
}

func readLine(r *bufio.Reader) ([]byte, error) {
	b, err := r.ReadBytes('\n')
	if errors.Is(err, io.EOF) && len(b) > 0 {
		return nil, fmt.Errorf("%w: %.80q, without an end of line", ErrForeign, b)
	}
	return bytes.TrimRight(b, "\r\n"), err
}

func readLength(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxObject {
		return nil, fmt.Errorf("%w: a length of %d", ErrForeign, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
