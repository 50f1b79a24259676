package load

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Service is where parties connect.
type Service struct {
	Name    string
	Network string // udp, tcp, unix, unixgram, unixpacket
	Address string
}

func (s Service) stream() bool { return s.Network != "udp" && s.Network != "unixgram" }

// conn carries one message object a line, packet or datagram. One goroutine reads,
// one at a time writes.
type conn struct {
	net.Conn
	lines  bool
	r      *bufio.Reader
	packet []byte
}

const (
	// What a datagram client does not read in time is gone without a trace; what a
	// stream client does not read should soon be its server's to keep.
	datagramBuffer = 4 << 20
	streamBuffer   = 64 << 10

	dialTimeout = 10 * time.Second
	// writeTimeout is more than push-back ever holds a client.
	writeTimeout = 15 * time.Second
)

var locals atomic.Int64

// dial connects to s; a client of a datagram socket gets an address in dir.
func dial(s Service, dir string) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if s.Network == "unixgram" {
		d.LocalAddr = &net.UnixAddr{Name: filepath.Join(dir, fmt.Sprintf("c%d", locals.Add(1))), Net: s.Network}
	}
	nc, err := d.Dial(s.Network, s.Address)
	if err != nil {
		return nil, err
	}
	if b, ok := nc.(interface{ SetReadBuffer(int) error }); ok {
		size := datagramBuffer
		if s.stream() {
			size = streamBuffer
		}
		_ = b.SetReadBuffer(size)
	}
	c := &conn{Conn: nc}
	if s.Network == "tcp" || s.Network == "unix" {
		c.lines, c.r = true, bufio.NewReaderSize(nc, 64<<10)
	} else {
		c.packet = make([]byte, 64<<10)
	}
	return c, nil
}

// send writes one message object.
func (c *conn) send(object []byte) error {
	if c.lines {
		object = append(object, '\n')
	}
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.Write(object)
	return err
}

// receive returns the next message object; it is valid until the next call.
func (c *conn) receive() ([]byte, error) {
	if c.lines {
		return c.r.ReadBytes('\n')
	}
	n, err := c.Read(c.packet)
	return c.packet[:n], err
}
