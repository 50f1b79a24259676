package relay

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/antano/antano/shared/wire"
)

// stream is one direction of a connection in memory, so that synctest's clock runs.
type stream struct {
	mu      sync.Mutex
	change  *sync.Cond
	data    []byte
	bound   int
	closed  bool
	expired bool
}

func newStream(bound int) *stream {
	s := &stream{bound: bound}
	s.change = sync.NewCond(&s.mu)
	return s
}

func (s *stream) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.change.Broadcast()
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.data) == 0 && !s.closed && !s.expired {
		s.change.Wait()
	}
	switch {
	case len(s.data) > 0:
	case s.closed:
		return 0, io.EOF
	default:
		return 0, os.ErrDeadlineExceeded
	}
	n := copy(p, s.data)
	s.data = append(s.data[:0], s.data[n:]...)
	s.change.Broadcast()
	return n, nil
}

func (s *stream) write(p []byte, wait bool) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.closed {
			return n, net.ErrClosed
		}
		m := min(len(p)-n, s.bound-len(s.data))
		s.data = append(s.data, p[n:n+m]...)
		n += m
		s.change.Broadcast()
		if n == len(p) || !wait {
			return n, nil
		}
		s.change.Wait()
	}
}

// pipe is one end of such a connection.
type pipe struct{ in, out *stream }

func newPipe(bound int) (a, b *pipe) {
	x, y := newStream(bound), newStream(bound)
	return &pipe{x, y}, &pipe{y, x}
}

func (p *pipe) Read(b []byte) (int, error)     { return p.in.read(b) }
func (p *pipe) Write(b []byte) (int, error)    { return p.out.write(b, true) }
func (p *pipe) TryWrite(b []byte) (int, error) { return p.out.write(b, false) }
func (p *pipe) Close() error {
	p.in.set(func() { p.in.closed = true })
	p.out.set(func() { p.out.closed = true })
	return nil
}

func (p *pipe) SetReadDeadline(t time.Time) error {
	time.AfterFunc(time.Until(t), func() { p.in.set(func() { p.in.expired = true }) })
	return nil
}

// lab is a router with links over pipes, without Serve.
type lab struct {
	testing.TB
	*Router
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup
}

func newLab(t testing.TB, cfg Config) *lab {
	cfg.ServerID = 1
	b := &lab{TB: t, Router: New(cfg)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.all.Go(func() { b.sweep(b.ctx) })
	return b
}

func (b *lab) close() {
	b.cancel()
	b.all.Wait()
}

// subject is a process of a lab.
type subject struct {
	*fake
	end *pipe
}

func (b *lab) start(process uint16, service int64, bound int) *subject {
	b.Helper()
	launch := launchOf(process, service)
	link := b.Expect(launch)
	near, far := newPipe(bound)
	b.all.Go(func() {
		if err := b.attach(b.ctx, link, near); err != nil {
			b.Error(err)
		}
	})
	s := &subject{fake: &fake{TB: b, link: link, process: process, service: service}, end: far}
	s.in = wire.NewReader(far)
	f, err := s.in.Next()
	if err != nil {
		b.Fatal(err)
	}
	if err := s.welcome.Parse(f.Body); err != nil {
		b.Fatal(err)
	}
	link.SetReady(true)
	return s
}

func (s *subject) write(b []byte) {
	s.Helper()
	if _, err := s.end.Write(b); err != nil {
		s.Fatalf("process %d: %v", s.process, err)
	}
}
