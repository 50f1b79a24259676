package link_test

import (
	"net"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// ended is a manager that is gone.
var ended = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Messages that were read are acknowledged, also with the end of the link; what the
// manager had not acknowledged when it went is lost, what waits for its successor is
// not.
func TestAcks(t *testing.T) {
	path := socketPath(t)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := link.Config{Socket: path, Hello: wire.Hello{Version: shared.ProtocolVersion}, QueueBytes: 1 << 20, Health: func() string { return "" }, Window: 10 * time.Second, Gone: ended}
	dialled := make(chan *link.Link)
	go func() {
		l, err := link.Dial(withTimeout(t), cfg)
		if err != nil {
			t.Error(err)
		}
		dialled <- l
	}()
	m := accept(t, listener, wire.TypeHello)
	l := <-dialled
	t.Cleanup(l.Close)
	r := newRecorder()
	l.Run(r)
	message := wire.Message{Kind: wire.KindGroup, Entity: []byte("room"), FromKind: wire.KindClient}
	frames := wire.AppendMessage(wire.AppendMessage(nil, &message), &message)
	message.Token = 1
	m.write(wire.AppendMessage(frames, &message))
	if got := m.ack(); got != (wire.Ack{Messages: 3, Silent: 2}) {
		t.Errorf("acknowledged %+v", got)
	}
	for range 4 {
		put(t, l, `"x"`)
	}
	for range 4 {
		m.next(wire.TypeMessage)
	}
	m.write(wire.AppendAck(nil, &wire.Ack{Messages: 1, Silent: 1}))
	m.write(wire.AppendMessage(nil, &message))
	if got := m.ack(); got != (wire.Ack{Messages: 4, Silent: 2}) {
		t.Errorf("acknowledged %+v", got)
	}
	listener.Close()
	m.conn.Close()
	r.until(t, func() bool { return len(r.losses) == 1 })
	put(t, l, `"waits"`)
	if listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	m = accept(t, listener, wire.TypeRejoin)
	m.next(wire.TypeMessage)
	m.write(wire.AppendMessage(nil, &message))
	if got := m.ack(); got != (wire.Ack{Messages: 1}) {
		t.Errorf("the successor's first ack is %+v", got)
	}
	m.conn.Close()
	r.until(t, func() bool { return len(r.losses) == 2 })
	if r.unread != 3+1 {
		t.Errorf("%d lost, want 3 with the first manager and 1 with the second", r.unread)
	}
}

// An orderly end acknowledges all that was read, also before a frame that is not all there.
func TestCloseAcknowledges(t *testing.T) {
	path := socketPath(t)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		l, err := link.Dial(withTimeout(t), link.Config{Socket: path, Hello: wire.Hello{Version: shared.ProtocolVersion}, QueueBytes: 1 << 20, Health: func() string { return "" }})
		if err != nil {
			t.Error(err)
			return
		}
		r := newRecorder()
		l.Run(r)
		r.until(t, func() bool { return len(r.messages) == 1 })
		l.Close()
	}()
	m := accept(t, listener, wire.TypeHello)
	frame := wire.AppendMessage(nil, &wire.Message{Kind: wire.KindGroup, Entity: []byte("room"), FromKind: wire.KindClient})
	m.write(append(frame, frame[:len(frame)/2]...))
	if got := m.ack(); got != (wire.Ack{Messages: 1, Silent: 1}) {
		t.Errorf("acknowledged %+v", got)
	}
	<-closed
}

// manual is a manager's end of a link.
type manual struct {
	*testing.T
	conn *net.UnixConn
	in   *wire.Reader
}

func accept(t *testing.T, listener *net.UnixListener, first wire.Type) *manual {
	t.Helper()
	listener.SetDeadline(time.Now().Add(10 * time.Second))
	conn, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	m := &manual{t, conn, wire.NewReader(conn)}
	m.next(first)
	m.write(wire.AppendWelcome(nil, &wire.Welcome{Version: shared.ProtocolVersion, Window: peer.Window, Sequences: wire.Sequences{First: 1, Count: 4096}}))
	return m
}

func (m *manual) write(frames []byte) {
	m.Helper()
	if _, err := m.conn.Write(frames); err != nil {
		m.Fatal(err)
	}
}

// next skips to a frame.
func (m *manual) next(typ wire.Type) wire.Frame {
	m.Helper()
	for {
		f, err := m.in.Next()
		if err != nil {
			m.Fatalf("wait for %s: %v", typ, err)
		}
		if f.Type == typ {
			return f
		}
	}
}

func (m *manual) ack() (a wire.Ack) {
	m.Helper()
	if err := a.Parse(m.next(wire.TypeAck).Body); err != nil {
		m.Fatal(err)
	}
	return a
}
