package wire

import (
	"net"
	"syscall"
)

// unixSink writes to a Unix stream socket. p, n and err belong to the one TryWrite
// under way: they are fields so that a write allocates nothing.
type unixSink struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	try  func(fd uintptr) bool
	p    []byte
	n    int
	err  error
}

// NewSink returns the write side of conn. It does not own conn.
func NewSink(conn *net.UnixConn) (Sink, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &unixSink{conn: conn, raw: raw}
	s.try = s.write
	return s, nil
}

func (s *unixSink) Write(p []byte) (int, error) { return s.conn.Write(p) }

func (s *unixSink) TryWrite(p []byte) (int, error) {
	s.p, s.n, s.err = p, 0, nil
	err := s.raw.Write(s.try)
	s.p = nil
	if s.err != nil {
		err = s.err
	}
	return s.n, err
}

func (s *unixSink) write(fd uintptr) bool {
	for s.n < len(s.p) {
		m, err := syscall.Write(int(fd), s.p[s.n:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			s.err = err
			return true
		default:
			s.n += m
		}
	}
	return true
}
