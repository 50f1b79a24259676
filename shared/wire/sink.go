package wire

import (
	"net"
	"syscall"
)

// unixSink writes to a Unix stream socket.
type unixSink struct {
	conn *net.UnixConn
	raw  syscall.RawConn
}

// NewSink returns the write side of conn. It does not own conn.
func NewSink(conn *net.UnixConn) (Sink, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &unixSink{conn, raw}, nil
}

func (s *unixSink) Write(p []byte) (int, error) { return s.conn.Write(p) }

func (s *unixSink) TryWrite(p []byte) (n int, err error) {
	cerr := s.raw.Write(func(fd uintptr) bool {
		for n < len(p) {
			var m int
			m, err = syscall.Write(int(fd), p[n:])
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				break
			}
			n += m
		}
		return true
	})
	if err == syscall.EAGAIN {
		err = nil
	}
	if err == nil {
		err = cerr
	}
	return n, err
}
