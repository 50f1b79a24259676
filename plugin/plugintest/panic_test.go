package plugintest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// fragile is a line service whose code panics wherever a message or a client says so.
type fragile struct {
	listener net.Listener
	endpoint plugin.Endpoint
	host     plugin.Host
	sick     atomic.Bool
}

func (f *fragile) Describe() shared.Description {
	return shared.Description{ServiceType: "fragile", CanSend: true, Handler: true}
}

func (f *fragile) Start(_ context.Context, host plugin.Host) (err error) {
	f.host = host
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	if f.endpoint, err = host.NewEndpoint(plugin.EndpointConfig{Frame: func(dst, payload []byte) ([]byte, error) {
		if strings.Contains(string(payload), "panic in Frame") {
			panic("Frame")
		}
		return append(append(dst, payload...), '\n'), nil
	}}); err != nil {
		return err
	}
	host.Go(f.accept)
	return nil
}

func (f *fragile) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.host.Go(func() { f.serve(conn) })
	}
}

func (f *fragile) serve(conn net.Conn) {
	c, err := f.endpoint.Connect(conn.RemoteAddr().String(), fragileWriter{conn})
	if err != nil {
		return
	}
	defer c.Retire(nil)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if lines.Text() == "panic in the connection" {
			panic("connection")
		}
		if c.Receive(lines.Bytes()) != nil {
			return
		}
		c.Flush()
	}
}

type fragileWriter struct{ net.Conn }

func (w fragileWriter) Write(messages [][]byte, wait bool) (n int, err error) {
	for _, m := range messages {
		if strings.Contains(string(m), "panic in Write") {
			panic("Write")
		}
		k, err := w.Conn.Write(m)
		if n += k; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w fragileWriter) Close() error {
	w.Conn.Close()
	panic("Close")
}

// brittle cannot be made JSON of.
type brittle struct{}

func (brittle) MarshalJSON() ([]byte, error) { panic("MarshalJSON") }

func (f *fragile) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	if string(m.Value) == `"brittle"` {
		return brittle{}, nil
	}
	panic("handler")
}

func (f *fragile) Health() error {
	if f.sick.Load() {
		panic("health")
	}
	return nil
}

func (f *fragile) Stop(context.Context) error { return f.listener.Close() }

// TestPanics has every call of the author's code panic once: it is counted, and hurts one
// message or one client; another one never notices.
func TestPanics(t *testing.T) {
	s := &fragile{}
	h := plugintest.Start(t, s, shared.ServiceParams{})
	type line struct {
		net.Conn
		*bufio.Reader
		id string
	}
	connect := func() line {
		conn, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		l := line{conn, bufio.NewReader(conn), ""}
		fmt.Fprintln(conn, `{"type":"whoami"}`)
		who, err := l.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		_, l.id, _ = strings.Cut(who, `"entity_id":`)
		l.id, _, _ = strings.Cut(l.id, ",")
		return l
	}
	bystander, victim := connect(), connect()
	peer := h.Peer()
	counted := func(want int64) {
		t.Helper()
		if got := h.Metric("panics"); got < want {
			t.Fatalf("%d panics are counted, want %d", got, want)
		}
	}
	ends := func(l line) {
		t.Helper()
		if got, err := l.ReadString('\n'); err == nil {
			t.Errorf("the connection lives on and says %s", got)
		}
	}
	peer.Send(`{"entity":"service","entity_id":2,"message":1,"id":"h"}`)
	if got := peer.Next(); !strings.Contains(got, `"code":"unsupported"`) || !strings.Contains(got, `"id":"h"`) {
		t.Errorf("the handler's panic is answered with %s", got)
	}
	counted(1)
	peer.Send(`{"entity":"client","entity_id":%s,"message":"panic in Frame","id":"f"}`, victim.id)
	if got := peer.Next(); !strings.Contains(got, `"code":"unsupported"`) {
		t.Errorf("a panic in Frame is answered with %s", got)
	}
	counted(2)
	peer.Send(`{"entity":"client","entity_id":%s,"message":"panic in Write","id":"w"}`, victim.id)
	if got := peer.Next(); !strings.Contains(got, `"code":"no_such_entity"`) {
		t.Errorf("a panic in Write is answered with %s", got)
	}
	ends(victim)
	counted(3) // and those in Close, by whom it is called

	victim = connect()
	fmt.Fprintln(victim.Conn, "panic in the connection")
	ends(victim)
	counted(5)
	before := h.Metric("panics")
	peer.Send(`{"entity":"service","entity_id":2,"message":"brittle","id":"e"}`)
	if got := peer.Next(); !strings.Contains(got, `"delivered":1`) || !strings.Contains(got, `"id":"e"`) {
		t.Errorf("a panic in MarshalJSON is answered with %s", got)
	}
	counted(before + 1)
	s.sick.Store(true)
	if got := h.Health(); !strings.Contains(got, "Health panicked") {
		t.Errorf("health says %q", got)
	}
	s.sick.Store(false)

	peer.Send(`{"entity":"client","entity_id":%s,"message":"still there","id":"b"}`, bystander.id)
	if got := peer.Next(); !strings.Contains(got, `"delivered":1`) {
		t.Errorf("the bystander's message: %s", got)
	}
	if got, err := bystander.ReadString('\n'); err != nil || !strings.Contains(got, "still there") {
		t.Errorf("the bystander got %s, %v", got, err)
	}
	h.Stop()
}
