package mosquitto

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

const bufferSize = 64 << 10

// Link is a pair of topics over one connection.
type Link struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	to   string
	out  []byte // being sent
	buf  []byte // received
}

// Dial connects and subscribes; the broker has the subscription when it returns.
func Dial(address string, self, to int) (*Link, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	l := &Link{conn: c, r: bufio.NewReaderSize(c, bufferSize), w: bufio.NewWriterSize(c, bufferSize), to: topic(to)}
	return l, (Words{}).Subscribe(c, topic(self))
}

func topic(peer int) string { return fmt.Sprintf("p%d", peer) }

// Send queues a message.
func (l *Link) Send(payload []byte) error {
	l.out = appendPublish(l.out[:0], l.to, payload)
	_, err := l.w.Write(l.out)
	return err
}

// Flush writes what is queued.
func (l *Link) Flush() error { return l.w.Flush() }

// Receive returns the next message, valid until the next call.
func (l *Link) Receive() ([]byte, error) {
	kind, err := l.r.ReadByte()
	if err != nil {
		return nil, err
	}
	if kind != publish {
		return nil, fmt.Errorf("mosquitto sends a packet 0x%x where a message was due", kind)
	}
	size, err := binary.ReadUvarint(l.r) // MQTT's lengths are the same up to 4 bytes
	if err != nil {
		return nil, err
	}
	n := int(size)
	if cap(l.buf) < n {
		l.buf = make([]byte, n)
	}
	if _, err := io.ReadFull(l.r, l.buf[:n]); err != nil {
		return nil, err
	}
	head := 2 + int(binary.BigEndian.Uint16(l.buf))
	if head > n {
		return nil, errors.New("mosquitto sends a topic longer than its packet")
	}
	return l.buf[head:n:n], nil
}

// Close ends the connection.
func (l *Link) Close() error { return l.conn.Close() }
