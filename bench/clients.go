package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/antano/antano/internal/measure/server"
)

// service is where clients of a running service connect.
type service struct {
	network, address string
	packed           bool // msgpack behind its length, in and out
}

// services are the rows of params that works choose from; none has a fixed port.
const services = `
active_service:
- {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
- {id: 2, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2}
- {id: 3, service_type: unix, name: unix, endpoint: RUNTIME/s.sock, socket_type: stream, processes: 2}
- {id: 4, service_type: tcp, name: msgpack, host: 127.0.0.1, port: 0, processes: 2, message_format_in: msgpack, message_format_out: msgpack}
- {id: 5, service_type: tcp, name: other, host: 127.0.0.1, port: 0, processes: 2}
`

// at looks up where a service of a running server listens.
func at(s *server.Server, name string) (service, error) {
	svc, err := s.Service(name)
	if err != nil {
		return service{}, err
	}
	network := svc.Type
	return service{network, strings.TrimPrefix(svc.Address, "unix:"), name == "msgpack"}, nil
}

func (s service) datagrams() bool { return s.network == "udp" }

// dial connects; a datagram client gets room for what it has not read yet.
func (s service) dial() (net.Conn, error) {
	c, err := net.Dial(s.network, s.address)
	if u, ok := c.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(4 << 20)
	}
	return c, err
}

// client is a connection that knows who it is.
type client struct {
	net.Conn
	service
	id      int64
	process int
}

const answerTime = 10 * time.Second

// connect dials and asks who we are.
func (s service) connect() (*client, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	k := &client{Conn: c, service: s}
	if s.packed {
		return k, nil
	}
	var who struct {
		ID      int64 `json:"entity_id"`
		Process int   `json:"process_id"`
	}
	answer, err := k.ask(`{"type":"whoami"}`)
	if err == nil {
		err = json.Unmarshal(answer, &who)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("ask %s who we are: %w", s.address, err)
	}
	k.id, k.process = who.ID, who.Process
	return k, nil
}

// connectElsewhere connects to a process other than the given, where there is one.
func (s service) connectElsewhere(process int) (*client, error) {
	for range 64 {
		c, err := s.connect()
		if err != nil || c.process != process {
			return c, err
		}
		defer c.Close() // only then: the next shall go to another process
	}
	return nil, fmt.Errorf("64 connections to %s are all in process %d", s.address, process)
}

// ask sends one message object and returns the next frame.
func (c *client) ask(text string) ([]byte, error) {
	if _, err := c.Write(c.frame([]byte(text))); err != nil {
		return nil, err
	}
	return c.next()
}

// frame is a message as the service wants it on the wire.
func (s service) frame(m []byte) []byte {
	switch {
	case s.packed:
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)
	case s.datagrams():
		return m
	}
	return append(m, '\n')
}

// next reads one frame, line end or length included, and nothing behind it.
func (c *client) next() ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	defer c.SetReadDeadline(time.Time{})
	switch {
	case c.datagrams():
		buf := make([]byte, 64<<10)
		n, err := c.Read(buf)
		return buf[:n], err
	case c.packed:
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return nil, err
		}
		m := make([]byte, 4+binary.BigEndian.Uint32(head))
		copy(m, head)
		_, err := io.ReadFull(c, m[4:])
		return m, err
	}
	return bufio.NewReaderSize(oneByte{c}, 4096).ReadBytes('\n')
}

// oneByte reads no further than it must.
type oneByte struct{ io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.Reader.Read(p[:1]) }
