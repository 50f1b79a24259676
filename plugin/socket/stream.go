package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/plugin"
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
	gate    gate

	// The reader's, and whose who has stopped it at the gate.
	decoder decoder
	waiting time.Time // since when input is waited for; zero while there is some
	parked  [][]byte  // messages that were read and not taken
	unread  []byte    // input behind them

	reads  atomic.Uint32 // that found something
	silent atomic.Bool   // the reader was interrupted to rest

	// What the last read left; a buffer is held only from a read to its end.
	tryRead func(fd uintptr) bool
	buffer  *[readSize]byte
	big     []byte // seqpacket: a packet that does not fit a buffer
	n       int
	err     error
	dry     bool // the read is not to wait

	out      output       // Write's
	lingered atomic.Int64 // since when Unsent waits for the peer, Unix nanoseconds
}

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// newStream makes a stream of a connection, which is its own from now on.
func (s *SocketService) newStream(conn int, address string) (*stream, error) {
	file := os.NewFile(uintptr(conn), "connection")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("use the connection of %s: %w", address, err)
	}
	c := &stream{service: s, file: file, raw: raw, address: address, packets: s.kind == unix.SOCK_SEQPACKET}
	c.decoder = newDecoder(s.params.FramingIn, s.params.Limits.MaxMessageBytes, &s.partial)
	c.tryRead, c.out.try = c.readPiece, c.writeSome
	if c.packets {
		c.tryRead = c.readPacket
	}
	return c, nil
}

// connect makes a client of an accepted connection, or refuses it.
func (s *SocketService) connect(conn int, from unix.Sockaddr) {
	c, err := s.newStream(conn, peerName(conn, from))
	if err != nil {
		s.host.Logger().Warn("cannot use a connection", "err", err)
		return
	}
	switch from.(type) {
	case *unix.SockaddrInet4, *unix.SockaddrInet6:
		c.tcp = true
	}
	if c.client, err = s.endpoint.Connect(c.address, c); err != nil {
		s.refuseLater(c, err)
		return
	}
	if !s.begin(c) {
		c.client.Close(errStopped)
	}
}

// begin reads a client's connection from now on, or closes it when the service has closed.
func (s *SocketService) begin(c *stream) bool {
	if !s.own(c) {
		c.file.Close()
		return false
	}
	go c.rest()
	return true
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
