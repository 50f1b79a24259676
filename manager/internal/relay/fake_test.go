package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// rig is a served router on a real socket.
type rig struct {
	testing.TB
	*Router
	path    string
	refused chan error
	ended   chan struct{}
	cancel  context.CancelFunc
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "relay")
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{TB: t, path: filepath.Join(dir, "relay.sock"), refused: make(chan error, 64), ended: make(chan struct{})}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.ServerID = 1
	cfg.OnRefused = func(err error) {
		select {
		case g.refused <- err:
		default:
		}
	}
	g.Router = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	go func() {
		defer close(g.ended)
		if err := g.Serve(ctx, ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-g.ended
		os.RemoveAll(dir)
	})
	return g
}

// fake is a plugin process that speaks the wire protocol from within the test.
type fake struct {
	testing.TB
	link    *Link
	conn    *net.UnixConn
	in      *wire.Reader
	welcome wire.Welcome
	process uint16
	service int64
}

func launchOf(process uint16, service int64) Launch {
	return Launch{Process: process, Generation: 1, Service: service, UID: os.Getuid(), Secret: [32]byte{1, 2, 3, byte(process)}}
}

func (g *rig) dial() *net.UnixConn {
	g.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: g.path, Net: "unix"})
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { conn.Close() })
	return conn
}

func helloOf(l Launch) []byte {
	return wire.AppendHello(nil, &wire.Hello{Version: shared.ProtocolVersion, Process: l.Process, Generation: l.Generation, Secret: l.Secret})
}

// start brings up a ready process of a service.
func (g *rig) start(process uint16, service int64) *fake {
	g.Helper()
	return g.launch(launchOf(process, service))
}

func (g *rig) launch(launch Launch) *fake {
	g.Helper()
	link := g.Expect(launch)
	link.Admit(syscall.Getpgrp())
	f := &fake{TB: g, link: link, conn: g.dial(), process: launch.Process, service: launch.Service}
	f.in = wire.NewReader(f.conn)
	f.write(helloOf(launch))
	if err := f.welcome.Parse(f.next(wire.TypeWelcome).Body); err != nil {
		g.Fatal(err)
	}
	<-link.Up()
	link.SetReady(true)
	return f
}

func (f *fake) write(b []byte) {
	f.Helper()
	f.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := f.conn.Write(b); err != nil {
		f.Fatalf("process %d: %v", f.process, err)
	}
}

// next returns the next frame that is not credit or an ack; it must have the given
// type.
func (f *fake) next(want wire.Type) wire.Frame {
	f.Helper()
	f.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		fr, err := f.in.Next()
		if err != nil {
			f.Fatalf("process %d waits for frame type %d: %v", f.process, want, err)
		}
		if fr.Type != want && (fr.Type == wire.TypeCredit || fr.Type == wire.TypeAck) {
			continue
		}
		if fr.Type != want {
			f.Fatalf("process %d got frame type %d, want %d: %x", f.process, fr.Type, want, fr.Raw)
		}
		fr.Body = bytes.Clone(fr.Body) // tests look at several
		return fr
	}
}

// client is the id of the process's n-th client.
func (f *fake) client(n uint32) int64 {
	return int64(shared.NewClientID(f.welcome.Server, f.process, f.welcome.Sequences.First+n))
}

func (f *fake) to(kind wire.Kind, id int64, token uint64) wire.Message {
	m := wire.Message{Token: token, Kind: kind, EntityID: id, Process: wire.AnyProcess,
		FromKind: wire.KindClient, FromID: f.client(0), Format: shared.FormatJSON, Value: []byte(`"hi"`)}
	if kind == wire.KindGroup {
		m.Entity = []byte("room")
	}
	return m
}

func (f *fake) send(m wire.Message) {
	f.Helper()
	f.write(wire.AppendMessage(nil, &m))
}

func (f *fake) message() wire.Message {
	f.Helper()
	var m wire.Message
	if err := m.Parse(f.next(wire.TypeMessage).Body); err != nil {
		f.Fatal(err)
	}
	return m
}

func (f *fake) result() wire.Result {
	f.Helper()
	var r wire.Result
	if err := r.Parse(f.next(wire.TypeResult).Body); err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *fake) answer(token uint64, delivered uint32, failed ...shared.Code) {
	f.Helper()
	r := wire.Result{Token: token, Delivered: delivered}
	for _, c := range failed {
		r.Fail(c, 1)
	}
	f.write(wire.AppendResult(nil, &r))
}

func (f *fake) join(id int64) {
	f.Helper()
	f.write(wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{Token: 99, ID: id, Entity: []byte("room")}))
	if r := f.result(); r.Token != 99 || r.Delivered != 1 {
		f.Fatalf("subscribe: %+v", r)
	}
}

// wantResult reads a result and checks its one code (CodeNone: delivered once).
func (f *fake) wantResult(token uint64, code shared.Code) {
	f.Helper()
	r := f.result()
	if r.Token != token {
		f.Fatalf("result for token %d, want %d", r.Token, token)
	}
	if code == shared.CodeNone {
		if r.Delivered != 1 || len(r.Failures()) != 0 {
			f.Fatalf("result %+v, want one delivered", r)
		}
		return
	}
	if fs := r.Failures(); r.Delivered != 0 || len(fs) != 1 || fs[0] != (wire.Failure{Code: code, Count: 1}) {
		f.Fatalf("result delivered %d failures %v, want %s", r.Delivered, fs, code)
	}
}

// nothing checks that no message is on its way to f: a health question comes after
// everything that was routed before it.
func (f *fake) nothing() {
	f.Helper()
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_, err := f.link.Health(ctx)
		done <- err
	}()
	nonce := binary.BigEndian.Uint64(f.next(wire.TypeHealth).Body)
	f.write(wire.AppendHealthOK(nil, &wire.HealthOK{Nonce: nonce}))
	if err := <-done; err != nil {
		f.Fatal(err)
	}
}
