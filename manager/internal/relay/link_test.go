package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestViolations: what a process must not send closes its link with an error that
// names it, and nobody else notices.
func TestViolations(t *testing.T) {
	result := wire.Result{Token: 0}
	for _, tt := range []struct {
		name  string
		frame []byte
		times int
		want  string
	}{
		{"length", []byte{255, 0, 0, 0, 3}, 1, "length"},
		{"cut message", []byte{0, 0, 0, 3, 3, 1, 2}, 1, "message is cut short"},
		{"unknown type", []byte{0, 0, 0, 1, 127}, 1, "type 127"},
		{"welcome", wire.AppendWelcome(nil, &wire.Welcome{}), 1, "frame welcome (2)"},
		{"credit", wire.AppendCredit(nil, &wire.Credit{Lane: wire.Lane{Kind: 1}}), 1, "frame credit (7)"},
		{"health", wire.AppendHealth(nil, 1), 1, "frame health (10)"},
		{"slots", wire.AppendSlots(nil, wire.TypeSlots, 1), 1, "frame slots (12)"},
		{"sequences", wire.AppendSequences(nil, wire.Sequences{}), 1, "frame sequences (15)"},
		{"metric name", wire.AppendMetric(nil, &wire.Metric{Name: []byte("Calls")}), 1, "metric"},
		{"second hello", helloOf(launchOf(1, 10)), 1, "second hello"},
		{"joining clients", wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{Entity: []byte("client")}), 1, "not a group"},
		{"slots confirmed short", []byte{0, 0, 0, 2, 13, 1}, 1, "cut short"},
		{"more sequences long", []byte{0, 0, 0, 2, 14, 1}, 1, "too many"},
		{"result storm", wire.AppendResult(nil, &result), lateBudget + 1, "nobody waits for"},
		{"sequence storm", wire.AppendEmpty(nil, wire.TypeMoreSequences), 10 * rangesASecond, "ranges"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, a, b, c := town(t, Config{})
			a.conn.Write(bytes.Repeat(tt.frame, tt.times))
			<-a.link.Down()
			if err := a.link.Err(); !errors.Is(err, wire.ErrFrame) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			b.send(b.to(wire.KindService, 20, 1))
			b.answerOf(c)
			b.wantResult(1, shared.CodeNone)
		})
	}
}

// TestLaterPlugin: frames of types from 128 on that are not known are ignored, also while a
// process of an earlier manager tells what it has.
func TestLaterPlugin(t *testing.T) {
	later := wire.AppendMove(wire.AppendEmpty(nil, 128), 255, 1)
	_, a, b, _ := town(t, Config{})
	a.write(later)
	a.send(a.to(wire.KindClient, b.client(0), 1))
	b.answer(b.message().Token, 1)
	a.wantResult(1, shared.CodeNone)

	g := newRig(t, Config{Held: true})
	g.SkipTo(map[int]uint64{1: 9000})
	c := g.adopt(1, 1)
	c.write(later)
	c.holds(1, 1, 4096)
	c.rejoined()
}

// TestBadResult: a result of two copies for a message to one client is answered as
// unknown, and ends the link that sent it.
func TestBadResult(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	a.send(a.to(wire.KindClient, b.client(0), 1))
	b.answer(b.message().Token, 2)
	<-b.link.Down()
	a.wantResult(1, shared.CodeProcessLost)
	a.nothing()
}

// TestStuckDestination: a process that does not read its link costs those who write
// to it the message and nobody else anything; at last its link is closed.
func TestStuckDestination(t *testing.T) {
	g := newRig(t, Config{Window: 1 << 30})
	g.SetServices(map[int64][]uint16{10: {1, 2}, 20: {4}})
	a, c := g.start(1, 10), g.start(4, 20)
	l := launchOf(2, 10)
	l.QueueLimit = 1 << 20
	b := g.launch(l)
	m := a.to(wire.KindClient, b.client(0), 0)
	m.Value = make([]byte, 64<<10)
	for range 64 {
		a.send(m)
	}
	a.nothing()
	s := b.link.Stats()
	if s.QueuedBytes > 1<<20 || s.DropsTo[shared.CodeOverloaded] == 0 {
		t.Errorf("%d bytes queued, %d overloaded", s.QueuedBytes, s.DropsTo[shared.CodeOverloaded])
	}
	if n := a.link.Stats().DropsFrom[shared.CodeOverloaded]; n != s.DropsTo[shared.CodeOverloaded] {
		t.Errorf("%d counted at the source, %d at the destination", n, s.DropsTo[shared.CodeOverloaded])
	}
	m.Token = 5
	a.send(m)
	a.wantResult(5, shared.CodeOverloaded)
	a.send(a.to(wire.KindService, 20, 6))
	a.answerOf(c)
	a.wantResult(6, shared.CodeNone)

	// Results must not be dropped: b asks for more than it reads.
	unknown := wire.AppendMessage(nil, ptr(b.to(wire.KindService, 99, 7)))
	storm := bytes.Repeat(unknown, 1000)
	b.conn.SetWriteDeadline(time.Now().Add(patience))
	for {
		if _, err := b.conn.Write(storm); err != nil {
			break
		}
	}
	<-b.link.Down()
	if err := b.link.Err(); !errors.Is(err, errNotReading) {
		t.Errorf("b ended with %v", err)
	}
	if n := b.link.Stats().DropsTo[shared.CodeProcessLost]; n == 0 {
		t.Error("what was queued for b is not counted")
	}
}

func ptr[T any](v T) *T { return &v }

func TestShutdown(t *testing.T) {
	g, a, b, c := town(t, Config{})
	b.join(7)
	a.send(a.to(wire.KindService, 20, 1))
	token := c.message().Token
	g.Shutdown()
	for kind, id := range map[wire.Kind]int64{wire.KindClient: b.client(0), wire.KindService: 20, wire.KindGroup: 7} {
		a.send(a.to(kind, id, 2))
		a.wantResult(2, shared.CodeShuttingDown)
	}
	reply := c.to(wire.KindClient, a.client(0), 0)
	reply.FromKind, reply.FromID, reply.Flags = wire.KindService, 20, wire.FlagReply
	c.send(reply)
	c.answer(token, 1)
	a.message()
	a.wantResult(1, shared.CodeNone)
}

// TestReady: only ready processes get messages for their service, and a sender
// stays with its process while that is ready.
func TestReady(t *testing.T) {
	_, a, b, c := town(t, Config{})
	served := func(n uint32) *fake {
		t.Helper()
		m := c.to(wire.KindService, 10, 0)
		m.FromID = c.client(n)
		before := a.link.Stats().FramesOut
		c.send(m)
		c.nothing()
		if a.link.Stats().FramesOut > before {
			a.message()
			return a
		}
		b.message()
		return b
	}
	home := make(map[uint32]*fake)
	count := make(map[*fake]int)
	for n := range uint32(100) {
		home[n] = served(n)
		count[home[n]]++
	}
	if count[a] < 25 || count[b] < 25 {
		t.Errorf("%d to a, %d to b", count[a], count[b])
	}
	a.link.SetReady(false)
	for n := range uint32(100) {
		if served(n) != b {
			t.Fatal("a is not ready")
		}
	}
	a.link.SetReady(true)
	for n := range uint32(100) {
		if served(n) != home[n] {
			t.Fatal("a sender moved")
		}
	}
	a.link.Drain()
	a.link.SetReady(true)
	if served(0) != b || served(1) != b || served(2) != b || served(3) != b {
		t.Fatal("a drains")
	}
	c.send(c.to(wire.KindClient, a.client(0), 0))
	a.message()
}

func TestPause(t *testing.T) {
	_, a, b, c := town(t, Config{})
	pause := func(f *fake, typ wire.Type, client int64, to uint16, budget uint32) {
		f.write(wire.AppendPause(nil, typ, &wire.Pause{Client: shared.ClientID(client), Process: to, Budget: budget}))
	}
	pause(b, wire.TypePause, a.client(0), 4, 1) // not its client
	pause(b, wire.TypePause, b.client(9000), 4, 1)
	pause(b, wire.TypePause, b.client(0), 3, 1) // nobody there
	pause(b, wire.TypePause, b.client(0), 0xffff, 1)
	b.nothing()
	c.nothing()
	if n := b.link.Stats().Strays; n != 4 {
		t.Errorf("%d strays, want 4", n)
	}
	for _, typ := range []wire.Type{wire.TypePause, wire.TypeResume} {
		pause(b, typ, b.client(0), 4, 250)
		var p wire.Pause
		if err := p.Parse(c.next(typ).Body); err != nil || p != (wire.Pause{Client: shared.ClientID(b.client(0)), Process: 2, Budget: 250}) {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	began := time.Now()
	one := wire.AppendPause(nil, wire.TypePause, &wire.Pause{Client: shared.ClientID(b.client(0)), Process: 1})
	b.write(bytes.Repeat(one, 3*pausesASecond))
	b.nothing()
	seconds := uint64(time.Since(began)/time.Second) + 2 // that it may have touched
	if n := a.link.Stats().FramesOut; n > seconds*pausesASecond+10 {
		t.Errorf("%d frames reached a in %d s", n, seconds)
	}
}

func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b budget
		for range 3 {
			for n := range 5 {
				if b.take(3) != (n < 3) {
					t.Errorf("take %d of a second", n+1)
				}
			}
			time.Sleep(time.Second)
		}
	})
}

func TestHealth(t *testing.T) {
	g, a, _, _ := town(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ask := func() <-chan error {
		out := make(chan error, 1)
		go func() {
			failing, err := a.link.Health(ctx)
			if err == nil && failing != "" {
				err = errors.New(failing)
			}
			out <- err
		}()
		return out
	}
	first := ask()
	nonce := binary.BigEndian.Uint64(a.next(wire.TypeHealth).Body)
	a.write(wire.AppendHealthOK(nil, &wire.HealthOK{Nonce: nonce + 9, Failing: []byte("another")}))
	a.write(wire.AppendHealthOK(nil, &wire.HealthOK{Nonce: nonce, Failing: []byte("accept loop hangs")}))
	a.write(wire.AppendHealthOK(nil, &wire.HealthOK{Nonce: nonce, Failing: []byte("again")}))
	if err := <-first; err == nil || err.Error() != "accept loop hangs" {
		t.Error(err)
	}
	a.nothing()
	short, stop := context.WithCancel(ctx)
	stop()
	if _, err := a.link.Health(short); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	a.next(wire.TypeHealth)
	second := ask()
	a.next(wire.TypeHealth)
	a.conn.Close()
	if err := <-second; !errors.Is(err, ErrDown) {
		t.Error(err)
	}
	if _, err := g.Expect(launchOf(3, 10)).Health(ctx); !errors.Is(err, ErrDown) {
		t.Error(err)
	}
	if len(a.link.health.asked) != 0 {
		t.Errorf("%d questions left", len(a.link.health.asked))
	}
}

func TestSlots(t *testing.T) {
	_, a, _, _ := town(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	assign := func(bits uint64) <-chan error {
		out := make(chan error, 1)
		go func() { out <- a.link.AssignSlots(ctx, bits) }()
		if got := binary.BigEndian.Uint64(a.next(wire.TypeSlots).Body); got != bits {
			t.Errorf("told %x, want %x", got, bits)
		}
		return out
	}
	ok := func(bits uint64) { a.write(wire.AppendSlots(nil, wire.TypeSlotsOK, bits)) }
	first := assign(7)
	second := assign(1 << 63)
	if err := <-first; !errors.Is(err, ErrSuperseded) {
		t.Error(err)
	}
	ok(7)
	a.nothing()
	select {
	case err := <-second:
		t.Errorf("confirmed by other slots: %v", err)
	default:
	}
	ok(1 << 63)
	if err := <-second; err != nil {
		t.Error(err)
	}
	ok(1 << 63)
	third := assign(0)
	a.conn.Close()
	if err := <-third; !errors.Is(err, ErrDown) {
		t.Error(err)
	}
}

// TestCloseKeepsWhatWasWritten: a process that wrote and died is heard out.
func TestCloseKeepsWhatWasWritten(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	var out []byte
	for range 500 {
		out = wire.AppendMessage(out, ptr(a.to(wire.KindClient, b.client(0), 0)))
	}
	a.write(out)
	a.conn.Close()
	a.link.Close()
	for range 500 {
		b.message()
	}
	b.nothing()
}

// TestCloseAlive: the link of a process that was not reaped ends all the same.
func TestCloseAlive(t *testing.T) {
	_, a, _, _ := town(t, Config{})
	a.link.Close()
	if err := a.link.Err(); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, err := a.in.Next(); err == nil {
		t.Error("the process notices nothing")
	}
}

func TestServeEnds(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	g.dial()
	l := g.Expect(launchOf(3, 10))
	l.Admit(syscall.Getpgrp())
	g.cancel()
	<-g.ended
	<-a.link.Down()
	<-b.link.Down()
	l.Close()
}
