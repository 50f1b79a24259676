package relay

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func TestProof(t *testing.T) {
	hello := func(edit func(*wire.Hello)) []byte {
		l := launchOf(1, 10)
		h := wire.Hello{Version: shared.ProtocolVersion, Process: l.Process, Generation: l.Generation, Secret: l.Secret}
		edit(&h)
		return wire.AppendHello(nil, &h)
	}
	good := hello(func(*wire.Hello) {})
	for _, tt := range []struct {
		name   string
		launch func(*Launch)
		pgid   int
		sent   []byte
		want   string
	}{
		{"secret", nil, 0, hello(func(h *wire.Hello) { h.Secret[31]++ }), "secret"},
		{"version", nil, 0, hello(func(h *wire.Hello) { h.Version++ }), "version 2"},
		{"generation", nil, 0, hello(func(h *wire.Hello) { h.Generation++ }), "generation 2 is not expected"},
		{"process", nil, 0, hello(func(h *wire.Hello) { h.Process++ }), "process 2"},
		{"uid", func(l *Launch) { l.UID++ }, 0, good, "uid"},
		{"process group", nil, 1, good, "was not launched here"},
		{"not admitted", nil, -1, good, "was not launched here"},
		{"other frame", nil, 0, wire.AppendHealthOK(nil, &wire.HealthOK{Failing: make([]byte, 31)}), "not a hello"},
		{"length", nil, 0, make([]byte, wire.HelloSize), "length 0"},
		{"longer", nil, 0, append([]byte{0, 0, 0, 41}, good[4:]...), "not a hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, Config{})
			l := launchOf(1, 10)
			if tt.launch != nil {
				tt.launch(&l)
			}
			link := g.Expect(l)
			defer link.Close()
			switch tt.pgid {
			case 0:
				link.Admit(syscall.Getpgrp())
			case 1:
				link.Admit(1)
			}
			conn := g.dial()
			conn.Write(tt.sent)
			if err := <-g.refused; !strings.Contains(err.Error(), tt.want) {
				t.Errorf("refused: %v; want %q", err, tt.want)
			}
			conn.SetReadDeadline(time.Now().Add(patience))
			if n, err := conn.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
				t.Errorf("the refused peer read %d, %v", n, err)
			}
			select {
			case <-link.Up():
				t.Error("link is up")
			default:
			}
		})
	}
}

// TestProofOfTwo: a process of the same group cannot take another's place, and a
// second connection with the right hello does not hurt the first.
func TestProofOfTwo(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	for range 2 * maxUnproven {
		second := g.dial()
		second.Write(helloOf(launchOf(1, 10)))
		if err := <-g.refused; !strings.Contains(err.Error(), "linked already") {
			t.Fatalf("refused: %v", err)
		}
	}
	a.send(a.to(wire.KindClient, b.client(0), 0))
	b.message()
}

// TestSlowHello: connections that say nothing keep nobody out, and there are not
// many of them.
func TestSlowHello(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	for range maxUnproven - 1 {
		g.dial().Write([]byte{0, 0})
	}
	g.start(5, 30)
	a.send(a.to(wire.KindClient, b.client(0), 0))
	b.message()
	g.dial()
	g.dial()
	if err := <-g.refused; !strings.Contains(err.Error(), "without a hello") {
		t.Errorf("refused: %v", err)
	}
}

func TestCloseBeforeUp(t *testing.T) {
	g := newRig(t, Config{})
	link := g.Expect(launchOf(1, 10))
	link.Admit(syscall.Getpgrp())
	link.Close()
	link.Close()
	<-link.Down()
	if link.Err() == nil {
		t.Error("no error")
	}
	g.dial().Write(helloOf(launchOf(1, 10)))
	if err := <-g.refused; !strings.Contains(err.Error(), "lost its link") {
		t.Errorf("refused: %v", err)
	}
	if len(g.expected)+len(g.families) != 0 {
		t.Errorf("left over: %v %v", g.expected, g.families)
	}
}

// TestSequences: every generation and every further range is fresh, and what a
// former generation was granted proves nothing for the next.
func TestSequences(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	old := a.client(0)
	a.conn.Close()
	<-a.link.Down()
	l := launchOf(1, 10)
	l.Generation = 2
	a2 := g.launch(l)
	if a2.welcome.Sequences != (wire.Sequences{First: 4097, Count: 4096}) {
		t.Errorf("second generation got %v", a2.welcome.Sequences)
	}
	m := a2.to(wire.KindClient, b.client(0), 1)
	m.FromID = old
	a2.send(m)
	a2.wantResult(1, shared.CodeDenied)
	m.FromID = a2.client(5000)
	a2.send(m)
	a2.wantResult(1, shared.CodeDenied)
	a2.write(wire.AppendEmpty(nil, wire.TypeMoreSequences))
	var s wire.Sequences
	if err := s.Parse(a2.next(wire.TypeSequences).Body); err != nil || s != (wire.Sequences{First: 8193, Count: 4096}) {
		t.Errorf("more: %v %v", s, err)
	}
	a2.send(m)
	a2.answerOf(b)
	a2.wantResult(1, shared.CodeNone)
}

// answerOf lets to answer the next message as delivered.
func (f *fake) answerOf(to *fake) { to.answer(to.message().Token, 1) }

func TestSequencesRunOut(t *testing.T) {
	r := New(Config{ServerID: 1})
	l := r.Expect(launchOf(3, 10))
	r.granted[3] = 1<<32 - 10
	if s := r.grant(l); s != (wire.Sequences{First: 1<<32 - 10, Count: 10}) {
		t.Errorf("the last range is %v", s)
	}
	if s := r.grant(l); s.Count != 0 {
		t.Errorf("%d more", s.Count)
	}
	for sequence, want := range map[uint32]*Link{1<<32 - 1: l, 1<<32 - 10: l, 1<<32 - 11: nil, 0: nil, 1: nil} {
		if host, _ := r.host(int64(shared.NewClientID(1, 3, sequence))); host != want {
			t.Errorf("host of sequence %d is %v", sequence, host)
		}
	}
}
