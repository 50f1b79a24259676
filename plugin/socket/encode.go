package socket

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

// encoder returns the framing of outgoing messages for EndpointConfig.Frame.
func encoder(framing shared.Framing, f shared.FormatID) func(dst, payload []byte) ([]byte, error) {
	switch framing {
	case shared.FramingLine:
		if f == shared.FormatJSON {
			return appendJSONLine
		}
		return appendLine
	case shared.FramingLength32:
		return appendLength
	}
	return nil
}

// appendJSONLine makes one line of a JSON text.
func appendJSONLine(dst, payload []byte) ([]byte, error) {
	return append(format.OneLine(slices.Grow(dst, len(payload)+1), payload), '\n'), nil
}

// appendLine frames a text, which must not be changed: what would read as two
// lines, or lose its last byte as a CRLF, is refused.
func appendLine(dst, payload []byte) ([]byte, error) {
	if bytes.IndexByte(payload, '\n') >= 0 || bytes.HasSuffix(payload, []byte{'\r'}) {
		return dst, shared.Errorf(shared.CodeUnsupported, "a text with a newline cannot be sent as a line: remove it or use framing length32")
	}
	dst = append(slices.Grow(dst, len(payload)+1), payload...)
	return append(dst, '\n'), nil
}

func appendLength(dst, payload []byte) ([]byte, error) {
	if len(payload) > shared.MaxFrameBytes {
		return dst, shared.Errorf(shared.CodeTooLarge, "a message of %d bytes is over the largest frame, %d: send less", len(payload), shared.MaxFrameBytes)
	}
	dst = slices.Grow(dst, len(payload)+4)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	return append(dst, payload...), nil
}

// appendPacket sends a message as a packet of its own. An empty one would read as
// the end of the connection.
func appendPacket(dst, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return dst, shared.Errorf(shared.CodeUnsupported, "an empty message cannot be sent as a seqpacket: send at least one byte")
	}
	return append(dst, payload...), nil
}
