package socket

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/shared"
)

var errIdle = errors.New("idle_timeout is over")

// stream is one connection: tcp, unix stream or, with packets, unix seqpacket. One
// goroutine reads it; Write and Close are the plugin.Writer.
type stream struct {
	service *SocketService
	file    *os.File
	raw     syscall.RawConn
	address string
	packets bool
	tcp     bool
	client  plugin.Client
	decoder decoder

	// What the last read left; a buffer is held only from a read to its end.
	tryRead func(fd uintptr) bool
	buffer  *[readSize]byte
	big     []byte // seqpacket: a packet that does not fit a buffer
	n       int
	err     error
	out     output // Write's
}

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// connect makes a client of an accepted connection, or refuses it.
func (s *SocketService) connect(conn int, from unix.Sockaddr, kind int) {
	file := os.NewFile(uintptr(conn), "connection")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return
	}
	c := &stream{service: s, file: file, raw: raw, address: peerName(conn, from), packets: kind == unix.SOCK_SEQPACKET}
	switch from.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		c.tcp = true
	}
	c.decoder = newDecoder(s.params.FramingIn, s.params.Limits.MaxMessageBytes, &s.partial)
	c.tryRead, c.out.try = c.readPiece, c.writeSome
	if c.packets {
		c.tryRead = c.readPacket
	}
	if c.client, err = s.endpoint.Connect(c.address, c); err != nil {
		s.refuseLater(c, err)
		return
	}
	s.clients.Add(1)
	if !s.own(c) {
		c.client.Close(errStopped)
		file.Close()
		s.clients.Add(-1)
		return
	}
	go c.run()
}

// own makes Close end c and wait for its goroutine.
func (s *SocketService) own(c *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.beginLocked() {
		return false
	}
	s.streams[c] = struct{}{}
	return true
}

// disown is the end of the goroutine of c.
func (s *SocketService) disown(c *stream) {
	c.file.Close()
	s.mu.Lock()
	delete(s.streams, c)
	s.mu.Unlock()
	s.tasks.Done()
}

// peerName is the address for people.
func peerName(conn int, from unix.Sockaddr) string {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)).String()
	}
	if peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
		return fmt.Sprintf("pid %d uid %d", peer.Pid, peer.Uid)
	}
	return "unknown"
}

// run reads until the end of the connection.
func (c *stream) run() {
	defer c.service.disown(c)
	defer c.service.clients.Add(-1)
	defer c.decoder.release()
	cause := c.serve()
	switch {
	case cause == io.EOF:
		cause = nil
		c.finish()
	case errors.Is(cause, errAbsurdLength):
		c.settle()
		defer c.linger()
	}
	c.client.Close(cause)
}

// serve receives messages until reading or receiving fails.
func (c *stream) serve() error {
	for {
		if err := c.read(); err != nil {
			return err
		}
		var err error
		if c.packets {
			err = c.packet()
		} else {
			err = c.decoder.decode(c.buffer[:c.n], c)
		}
		c.putBuffer()
		c.client.Flush()
		if err != nil {
			return err
		}
	}
}

// frame and reject are what the decoder found.
func (c *stream) frame(p []byte) error { return c.service.received(c.client, c.address, p) }

func (c *stream) reject(code shared.Code, text string) { c.client.Reject(code, text) }

// read waits for the next piece or packet; its buffer is held until putBuffer.
func (c *stream) read() error {
	if c.service.idle > 0 {
		if err := c.file.SetReadDeadline(time.Now().Add(c.service.idle)); err != nil {
			return err
		}
	}
	err := c.raw.Read(c.tryRead)
	if err == nil {
		err = c.err
	}
	if err != nil {
		c.putBuffer()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errIdle
		}
	}
	return err
}

func (c *stream) readPiece(fd uintptr) bool {
	c.takeBuffer()
	for {
		c.n, c.err = unix.Read(int(fd), c.buffer[:])
		switch {
		case c.err == unix.EINTR:
			continue
		case c.err == unix.EAGAIN:
			c.putBuffer()
			return false
		case c.err == nil && c.n == 0:
			c.err = io.EOF
		}
		return true
	}
}

func (c *stream) takeBuffer() {
	if c.buffer == nil {
		c.buffer = readBuffers.Get().(*[readSize]byte)
	}
}

func (c *stream) putBuffer() {
	c.big = nil
	if c.buffer != nil {
		readBuffers.Put(c.buffer)
		c.buffer = nil
	}
}
