package plugintest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// mover is a service of lines over TCP that hands its connections over, written with the
// SDK alone.
type mover struct {
	endpoint plugin.Endpoint
	wg       sync.WaitGroup
	mu       sync.Mutex
	lines    map[*moverLine]struct{}
}

// moverLine is a connection and what was read of it and not received.
type moverLine struct {
	*net.TCPConn
	client  plugin.Client
	unread  []byte
	stopped chan struct{}
}

func (s *mover) Describe() shared.Description {
	return shared.Description{Name: "mover", Version: "1", ServiceType: "mover", CanSend: true, Handover: true, Transport: shared.TransportNone}
}

func (s *mover) Start(_ context.Context, host plugin.Host) (err error) {
	s.lines = map[*moverLine]struct{}{}
	s.endpoint, err = host.NewEndpoint(plugin.EndpointConfig{
		Frame: func(dst, payload []byte) ([]byte, error) { return append(append(dst, payload...), '\n'), nil },
	})
	return err
}

// accept makes a client of a connection.
func (s *mover) accept(conn *net.TCPConn) error {
	l := &moverLine{TCPConn: conn, stopped: make(chan struct{})}
	c, err := s.endpoint.Connect("test", l)
	if err == nil {
		s.begin(l, c)
	}
	return err
}

func (s *mover) begin(l *moverLine, c plugin.Client) {
	l.client = c
	s.mu.Lock()
	s.lines[l] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(l.read)
}

func (l *moverLine) read() {
	defer close(l.stopped)
	buffer := make([]byte, 1024)
	for {
		for {
			i := bytes.IndexByte(l.unread, '\n')
			if i < 0 {
				break
			}
			if l.client.Receive(l.unread[:i]) != nil {
				return // it is closed, or moves: the line stays unread
			}
			l.unread = l.unread[i+1:]
		}
		l.client.Flush()
		n, err := l.TCPConn.Read(buffer)
		l.unread = append(l.unread, buffer[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			l.client.Close(err)
			return
		}
	}
}

func (l *moverLine) Write(messages [][]byte, wait bool) (int, error) {
	buffers := net.Buffers(messages)
	n, err := buffers.WriteTo(l.TCPConn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = plugin.ErrWouldBlock
	}
	return int(n), err
}

func (l *moverLine) Interrupt() { l.SetWriteDeadline(time.Unix(1, 0)) }

func (s *mover) MoveOut(_ context.Context, _ uint64, give func(plugin.Client, []byte, int) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.lines {
		l.SetReadDeadline(time.Unix(1, 0))
		<-l.stopped
		raw, err := l.SyscallConn()
		if err != nil {
			return err
		}
		raw.Control(func(fd uintptr) { err = give(l.client, l.unread, int(fd)) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *mover) MoveBack() { panic("this test moves once") }

func (s *mover) MoveIn(state []byte, fd int, attach func(plugin.Endpoint, string, plugin.Writer) (plugin.Client, error)) (func(), error) {
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	l := &moverLine{TCPConn: conn.(*net.TCPConn), unread: bytes.Clone(state), stopped: make(chan struct{})}
	c, err := attach(s.endpoint, "test", l)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return func() { s.begin(l, c) }, nil
}

func (s *mover) Stop(context.Context) error {
	s.mu.Lock()
	for l := range s.lines {
		l.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// A connection goes to the next service in the middle of a line, with its id and group.
func TestReplace(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	first, next := &mover{}, &mover{}
	h := plugintest.Start(t, first, shared.ServiceParams{})
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.accept(accepted.(*net.TCPConn)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	say := func(text, want string) {
		t.Helper()
		fmt.Fprint(conn, text)
		if lines.Scan(); want != "" && lines.Text() != want {
			t.Errorf("got %s, want %s", lines.Text(), want)
		}
	}
	say(`{"type":"whoami"}`+"\n", "")
	who := lines.Text()
	say(`{"type":"join","entity":"room","entity_id":1}`+"\n"+`{"type":"pi`, `{"type":"joined","entity":"room","entity_id":1}`)
	h.Replace(next)
	say(`ng"}`+"\n", `{"type":"pong"}`)
	say(`{"type":"whoami"}`+"\n", who)
	p := h.Peer()
	p.Send(`{"entity":"room","entity_id":1,"message":"hello","id":"a"}`)
	if got := p.Next(); got != `{"type":"receipt","id":"a","delivered":1}` {
		t.Errorf("receipt: %s", got)
	}
	if n := h.Clients(); n != 1 {
		t.Errorf("%d clients", n)
	}
}
