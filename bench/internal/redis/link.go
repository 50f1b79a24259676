package redis

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
)

const bufferSize = 64 << 10

// Link is a pair of channels: it subscribes to its own on one connection and publishes
// to the other peer's on another, without replies.
type Link struct {
	in, out net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	to      string
	frame   []byte // being sent
	buf     []byte // received
}

// Dial connects and subscribes; the server has the subscription when it returns.
func Dial(network, address string, self, to int) (*Link, error) {
	in, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	out, err := net.Dial(network, address)
	if err != nil {
		in.Close()
		return nil, err
	}
	l := &Link{in: in, out: out, r: bufio.NewReaderSize(in, bufferSize), w: bufio.NewWriterSize(out, bufferSize), to: channel(to)}
	if err := (Words{}).Subscribe(in, channel(self)); err != nil {
		return nil, err
	}
	return l, (Words{}).Connect(out)
}

func channel(peer int) string { return fmt.Sprintf("p%d", peer) }

// Send queues a message.
func (l *Link) Send(payload []byte) error {
	l.frame = appendPublish(l.frame[:0], l.to, payload)
	_, err := l.w.Write(l.frame)
	return err
}

// Flush writes what is queued.
func (l *Link) Flush() error { return l.w.Flush() }

// Receive returns the next message, valid until the next call.
func (l *Link) Receive() ([]byte, error) {
	for _, want := range []string{"*3\r\n", "$7\r\n", "message\r\n"} {
		line, err := l.r.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if string(line) != want {
			return nil, fmt.Errorf("redis says %q where %q was due", line, want)
		}
	}
	if _, err := l.bulk(); err != nil { // the channel
		return nil, err
	}
	return l.bulk()
}

// bulk reads a string.
func (l *Link) bulk() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSuffix(bytes.TrimPrefix(line, []byte("$")), []byte("\r\n"))))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("redis says %q where a length was due", line)
	}
	if cap(l.buf) < n+2 {
		l.buf = make([]byte, n+2)
	}
	if _, err := io.ReadFull(l.r, l.buf[:n+2]); err != nil {
		return nil, err
	}
	return l.buf[:n:n], nil
}

// Close ends both connections.
func (l *Link) Close() error {
	l.out.Close()
	return l.in.Close()
}
