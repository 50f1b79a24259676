package link_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// socketPath is short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "link")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "relay.sock")
}

func withTimeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, change func(*link.Config)) (*peer.Manager, *link.Link, *recorder) {
	t.Helper()
	path := socketPath(t)
	m, err := peer.Listen(path, 7)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	cfg := config(m, path)
	if change != nil {
		change(&cfg)
	}
	l, err := link.Dial(withTimeout(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	r := newRecorder()
	l.Run(r)
	return m, l, r
}

// A message to a client of our own comes back through the manager, and its result.
func TestTraffic(t *testing.T) {
	_, l, r := start(t, nil)
	id, ok := l.NextClient()
	if !ok || id.Server() != 7 || id.Process() != 1 {
		t.Fatalf("client id %x, %v", uint64(id), ok)
	}
	m := wire.Message{Token: 5, Kind: wire.KindClient, EntityID: int64(id), Process: wire.AnyProcess, FromKind: wire.KindClient,
		FromID: int64(id), Format: shared.FormatJSON, Value: []byte(`"hello"`)}
	if err := l.Message(&m); err != nil {
		t.Fatal(err)
	}
	l.Flush()
	r.until(t, func() bool { return len(r.messages) == 1 && r.messages[0] == `"hello"` })
	l.Control(func(dst []byte) []byte { return wire.AppendResult(dst, &wire.Result{Token: 1, Delivered: 1}) })
	l.Flush()
	r.until(t, func() bool { return len(r.results) == 1 && r.results[0].Token == 5 && r.results[0].Delivered == 1 })
}

// Sequences go on over the first range, and no id is given twice.
func TestSequences(t *testing.T) {
	_, l, _ := start(t, nil)
	seen := map[shared.ClientID]bool{}
	deadline := time.Now().Add(10 * time.Second)
	for len(seen) < 10_000 {
		if id, ok := l.NextClient(); ok {
			if seen[id] {
				t.Fatalf("id %x twice", uint64(id))
			}
			seen[id] = true
		} else if time.Now().After(deadline) {
			t.Fatalf("only %d ids were granted", len(seen))
		}
	}
}

func TestHealth(t *testing.T) {
	failing := ""
	m, _, _ := start(t, func(cfg *link.Config) { cfg.Health = func() string { return failing } })
	for _, failing = range []string{"", "the loop hangs"} {
		if got, err := m.Health(withTimeout(t), 1); err != nil || got != failing {
			t.Errorf("health %q, %v; want %q", got, err, failing)
		}
	}
}

// Slots wait until the service has started; the newest set wins; a failure is health's
// business and confirms nothing.
func TestSlots(t *testing.T) {
	var mu sync.Mutex
	var assigned []uint64
	fail := false
	m, l, _ := start(t, func(cfg *link.Config) {
		cfg.Assign = func(slots uint64) error {
			mu.Lock()
			defer mu.Unlock()
			if fail {
				return errors.New("no such slot")
			}
			assigned = append(assigned, slots)
			return nil
		}
	})
	early, cancel := context.WithCancel(t.Context())
	go func() { // the health answer comes behind the slots
		m.Health(withTimeout(t), 1)
		cancel()
	}()
	if err := m.AssignSlots(early, 1, 0b11); err == nil {
		t.Error("slots were confirmed before the start")
	}
	l.AssignSlots()
	if err := m.AssignSlots(withTimeout(t), 1, 0b100); err != nil {
		t.Error(err)
	}
	mu.Lock()
	if got := assigned[len(assigned)-1]; got != 0b100 {
		t.Errorf("assigned %v", assigned)
	}
	fail = true
	mu.Unlock()
	failed, cancelFailed := context.WithCancel(t.Context())
	go func() {
		for failed.Err() == nil {
			if h, _ := m.Health(withTimeout(t), 1); strings.Contains(h, "no such slot") {
				cancelFailed()
			}
		}
	}()
	if err := m.AssignSlots(failed, 1, 0b1000); err == nil {
		t.Error("a failed assignment was confirmed")
	}
	l.EndSlots()
}

// A service that reads no slots confirms at once.
func TestSlotsWithoutReader(t *testing.T) {
	m, _, _ := start(t, nil)
	if err := m.AssignSlots(withTimeout(t), 1, 7); err != nil {
		t.Error(err)
	}
}

// The manager's end of the link is noticed, with a reason.
func TestManagerGone(t *testing.T) {
	m, l, _ := start(t, nil)
	if l.Err() != nil {
		t.Error("down before it is")
	}
	m.Close()
	<-l.Down()
	if l.Err() == nil {
		t.Error("no reason")
	}
	if err := l.Message(&wire.Message{}); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("message on a dead link: %v", err)
	}
	<-l.Space()
}

func TestDialFails(t *testing.T) {
	path := socketPath(t)
	if _, err := link.Dial(withTimeout(t), link.Config{Socket: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
	m, err := peer.Listen(path, 7)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	cfg := config(m, path)
	cfg.Hello.Secret[0]++
	if _, err := link.Dial(withTimeout(t), cfg); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("wrong secret: %v", err)
	}
	cfg = config(m, path)
	cfg.Hello.Version++
	if _, err := link.Dial(withTimeout(t), cfg); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("wrong version: %v", err)
	}
}

// A manager that does not answer ends with the context.
func TestDialWaits(t *testing.T) {
	path := socketPath(t)
	silent, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := silent.Accept()
		if err == nil {
			defer conn.Close()
			conn.Read(make([]byte, 1)) // the hello has come: it waits for the welcome
		}
		cancel()
	}()
	if _, err := link.Dial(ctx, link.Config{Socket: path}); err == nil {
		t.Error("dialled a silent manager")
	}
}

// What a later manager adds is ignored: bytes behind the welcome, and frames of types from
// 128 on.
func TestLaterManager(t *testing.T) {
	path := socketPath(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answer := make(chan wire.Frame, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		sent := append(wire.AppendWelcome(nil, &wire.Welcome{Version: shared.ProtocolVersion, Server: 9, Window: 1}), "more"...)
		binary.BigEndian.PutUint32(sent, uint32(len(sent)-4))
		sent = wire.AppendMove(wire.AppendEmpty(sent, 128), 255, 1)
		conn.Write(wire.AppendHealth(sent, 3))
		for in := wire.NewReader(conn); ; {
			if f, err := in.Next(); err != nil || f.Type == wire.TypeHealthOK {
				answer <- f
				return
			}
		}
	}()
	l, err := link.Dial(withTimeout(t), link.Config{Socket: path, QueueBytes: 1000, Hello: wire.Hello{Version: shared.ProtocolVersion}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Run(newRecorder())
	if got := l.Welcome(); got.Server != 9 || got.Window != 1 {
		t.Errorf("the welcome is %+v", got)
	}
	if f := <-answer; f.Type != wire.TypeHealthOK {
		t.Errorf("health is answered with %s: %v", f.Type, l.Err())
	}
}

// A manager that speaks nonsense loses the link.
func TestNonsense(t *testing.T) {
	for _, frame := range [][]byte{
		{0, 0, 0, 1, byte(wire.TypeSubscribe)},  // only plugins send it
		{0, 0, 0, 1, 127},                       // no such type
		{0, 0, 0, 2, byte(wire.TypeMessage), 1}, // cut short
		{0xFF, 0, 0, 0, 0},                      // absurd length
		{0, 0, 0, 3, byte(wire.TypeHealth), 1, 1},
	} {
		path := socketPath(t)
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			welcome := wire.AppendWelcome(nil, &wire.Welcome{Version: shared.ProtocolVersion, Server: 1, Window: 1})
			conn.Write(append(welcome, frame...))
			for b := make([]byte, 1024); ; {
				if _, err := conn.Read(b); err != nil {
					return
				}
			}
		}()
		l, err := link.Dial(withTimeout(t), link.Config{Socket: path, QueueBytes: 1000, Hello: wire.Hello{Version: shared.ProtocolVersion}})
		if err != nil {
			t.Fatal(err)
		}
		l.Run(newRecorder())
		<-l.Down()
		if !errors.Is(l.Err(), wire.ErrFrame) {
			t.Errorf("frame %v: %v", frame, l.Err())
		}
		l.Close()
		listener.Close()
	}
}

// A manager that does not read loses the link once even control frames have no room;
// nobody waits for that.
func TestManagerDoesNotRead(t *testing.T) {
	path := socketPath(t)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	stay := make(chan struct{})
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			conn.Write(wire.AppendWelcome(nil, &wire.Welcome{Version: shared.ProtocolVersion, Server: 1, Window: 1}))
			<-stay
		}
	}()
	defer close(stay)
	l, err := link.Dial(withTimeout(t), link.Config{Socket: path, QueueBytes: 100_000, Hello: wire.Hello{Version: shared.ProtocolVersion}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Run(newRecorder())
	full := false
	for range 1_000_000 {
		if err = l.Message(&wire.Message{Kind: wire.KindClient, FromKind: wire.KindClient, Value: make([]byte, 1000)}); errors.Is(err, wire.ErrFull) {
			full = true
			break
		}
		l.Flush()
	}
	if !full {
		t.Fatal("the queue has no bound")
	}
	for err = nil; err == nil; {
		err = l.Control(func(dst []byte) []byte { return wire.AppendResult(dst, &wire.Result{Token: 1}) })
	}
	<-l.Down()
	if !strings.Contains(l.Err().Error(), "does not read") {
		t.Errorf("cause: %v", l.Err())
	}
}
