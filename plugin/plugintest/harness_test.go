package plugintest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// echo is a service of lines over TCP, written with the SDK alone, and a handler that
// answers with what it got.
type echo struct {
	listener net.Listener
	endpoint plugin.Endpoint
	wg       sync.WaitGroup
	mu       sync.Mutex
	slots    uint64
	sick     bool
}

func (e *echo) Describe() shared.Description {
	return shared.Description{Name: "echo", Version: "1", ServiceType: "echo", CanSend: true, Handler: true, Transport: shared.TransportNone}
}

func (e *echo) Start(ctx context.Context, host plugin.Host) (err error) {
	if e.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	e.endpoint, err = host.NewEndpoint(plugin.EndpointConfig{
		Frame: func(dst, payload []byte) ([]byte, error) { return append(append(dst, payload...), '\n'), nil },
	})
	e.wg.Go(e.accept)
	return err
}

func (e *echo) accept() {
	for {
		conn, err := e.listener.Accept()
		if err != nil {
			return
		}
		e.wg.Go(func() { e.serve(conn) })
	}
}

func (e *echo) serve(conn net.Conn) {
	defer conn.Close()
	c, err := e.endpoint.Connect(conn.RemoteAddr().String(), connWriter{conn})
	if err != nil {
		return
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() && c.Receive(lines.Bytes()) == nil {
		c.Flush()
	}
	c.Close(lines.Err())
}

type connWriter struct{ net.Conn }

func (w connWriter) Write(messages [][]byte, wait bool) (int, error) {
	buffers := net.Buffers(messages)
	n, err := buffers.WriteTo(w.Conn)
	return int(n), err
}

func (e *echo) OnReceivedMessage(_ context.Context, m *shared.Message) (any, error) {
	if string(m.Value) == `"refuse"` {
		return nil, shared.Errorf(shared.CodeDenied, "no")
	}
	return append([]byte(nil), m.Value...), nil
}

func (e *echo) AssignSlots(slots uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.slots = slots
	return nil
}

func (e *echo) Health() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sick {
		return errors.New("the loop hangs")
	}
	return nil
}

func (e *echo) Stop(context.Context) error {
	if err := e.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	e.wg.Wait()
	return nil
}

func (e *echo) Drain(context.Context) error { return e.listener.Close() }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A client of the service, a peer of another one and the service's handler talk over
// a real relay link.
func TestConversation(t *testing.T) {
	s := &echo{}
	h := plugintest.Start(t, s, shared.ServiceParams{})
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	read := func() string { lines.Scan(); return lines.Text() }

	fmt.Fprintln(conn, `{"type":"join","entity":"room","entity_id":1,"id":1}`)
	if got := read(); got != `{"type":"joined","id":1,"entity":"room","entity_id":1}` {
		t.Fatalf("joined: %s", got)
	}
	p := h.Peer()
	p.Send(`{"entity":"room","entity_id":1,"message":"hello","id":"a"}`)
	if got := read(); got != fmt.Sprintf(`{"type":"message","entity":"room","entity_id":1,"from":{"entity":"client","entity_id":%d},"message":"hello"}`, uint64(p.ID())) {
		t.Fatalf("message: %s", got)
	}
	if got := p.Next(); got != `{"type":"receipt","id":"a","delivered":1}` {
		t.Fatalf("receipt: %s", got)
	}
	p.Send(`{"entity":"service","entity_id":8,"message":1,"id":"n"}`)
	if got := p.Next(); !strings.Contains(got, `"code":"no_such_entity"`) {
		t.Fatalf("to a service that is not there: %s", got)
	}
	p.Send(`{"entity":"service","entity_id":2,"message":[1],"id":"b"}`)
	got := []string{p.Next(), p.Next()}
	if all := strings.Join(got, ""); !strings.Contains(all, `"in_reply_to":"b","message":[1]`) || !strings.Contains(all, `{"type":"receipt","id":"b","delivered":1}`) {
		t.Fatalf("answers of the handler: %q", got)
	}
	p.Send(`{"entity":"service","entity_id":2,"process_id":1,"message":"refuse"}`) // no id
	if got := p.Next(); !strings.Contains(got, `"code":"denied"`) {
		t.Fatalf("refused: %s", got)
	}
	r, err := h.Host().PassThroughMessage(t.Context(), p.ID().Address(), shared.AnyProcess, "from the service")
	if err != nil || r.Delivered != 1 {
		t.Fatalf("pass: %+v, %v", r, err)
	}
	if got := p.Next(); !strings.Contains(got, `"from":{"entity":"service","entity_id":2},"message":"from the service"`) {
		t.Fatalf("passed: %s", got)
	}
	if n := h.Clients(); n != 1 {
		t.Errorf("%d clients", n)
	}
	p.Close()
	fmt.Fprintln(conn, `rubbish`)
	if got := read(); !strings.Contains(got, "bad_message") || h.Drops(shared.CodeBadMessage) != 1 {
		t.Errorf("rubbish: %s, %d counted", got, h.Drops(shared.CodeBadMessage))
	}
	if n := h.Drain(t.Context()); n != 0 {
		t.Errorf("%d clients unfinished", n)
	}
	if lines.Scan() {
		t.Errorf("after drain: %s", lines.Text())
	}
}

func TestHealthAndSlots(t *testing.T) {
	s := &echo{}
	h := plugintest.Start(t, s, shared.ServiceParams{})
	if f := h.Health(); f != "" {
		t.Errorf("healthy service: %q", f)
	}
	s.mu.Lock()
	s.sick = true
	s.mu.Unlock()
	if f := h.Health(); f != "the loop hangs" {
		t.Errorf("sick service: %q", f)
	}
	h.AssignSlots(0b101)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots != 0b101 {
		t.Errorf("slots %b", s.slots)
	}
}
