package web

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// Conn is the connection that brought r. Closing it ends whatever waits on it; nothing
// else may be done with it, unless the handler has hijacked it.
func Conn(r *http.Request) net.Conn { return r.Context().Value(connKey{}).(net.Conn) }

type connKey struct{}

// watched is the listener of a server that knows its connections.
type watched struct {
	net.Listener
	server *Server
}

func (w watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return w.server.watch(c), nil
}

// conn is a connection that its server closes when it stops.
type conn struct {
	net.Conn
	server *Server
	once   sync.Once
	err    error
}

func (s *Server) watch(c net.Conn) net.Conn {
	w := &conn{Conn: c, server: s}
	s.mu.Lock()
	stopped := s.stopped
	s.conns[w] = struct{}{}
	s.mu.Unlock()
	if stopped {
		w.Close()
	}
	return w
}

// Close may be called more than once.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.err = c.Conn.Close()
		c.server.forget(c)
	})
	return c.err
}

// CloseWrite ends the sending half, for net/http: closing a connection with input that
// nobody has read would destroy the answer.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.tellNone()
}

// tellNone ends the wait of Stop when there are no connections. The lock is held.
func (s *Server) tellNone() {
	if s.none != nil && len(s.conns) == 0 {
		close(s.none)
		s.none = nil
	}
}

func (s *Server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}
