package relay

import (
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// successor brings up the next start of f's process beside it.
func (g *rig) successor(f *fake) *fake {
	g.Helper()
	l := f.link.launch
	l.Generation++
	return g.launch(l)
}

func pauseOf(typ wire.Type, client int64, to uint16) []byte {
	return wire.AppendPause(nil, typ, &wire.Pause{Client: shared.ClientID(client), Process: to, Budget: 5})
}

// TestTwoGenerations: while two starts of a process are up each has its own clients,
// the first serves, and both are what others mean by the process.
func TestTwoGenerations(t *testing.T) {
	g, a, b, c := town(t, Config{})
	a2 := g.successor(a)
	for token, f := range map[uint64]*fake{1: a, 2: a2} {
		m := b.to(wire.KindClient, f.client(0), token)
		m.Process = 1
		b.send(m)
		b.answerOf(f)
		b.wantResult(token, shared.CodeNone)
		f.send(f.to(wire.KindClient, b.client(0), token))
		if m := b.message(); m.FromProcess != 1 {
			t.Errorf("from process %d", m.FromProcess)
		}
	}
	service := c.to(wire.KindService, 10, 0)
	service.Process = 1
	served := func(f, other *fake) {
		t.Helper()
		c.send(service)
		f.message()
		other.nothing()
	}
	served(a, a2)
	a.link.SetReady(false)
	served(a2, a)
	a.link.SetReady(true)
	served(a, a2)
	a.link.Drain()
	served(a2, a)

	a.join(7)
	m := c.to(wire.KindGroup, 7, 3)
	m.Process = 1
	c.send(m)
	c.answerOf(a)
	c.wantResult(3, shared.CodeNone)
	a2.join(7)
	b.join(7)
	c.send(m)
	c.answerOf(a)
	c.answerOf(a2)
	if r := c.result(); r.Delivered != 2 {
		t.Errorf("%d copies", r.Delivered)
	}
	b.nothing()

	b.write(pauseOf(wire.TypePause, b.client(0), 1))
	a.next(wire.TypePause)
	a2.next(wire.TypePause)

	old := a.client(0)
	a.conn.Close()
	<-a.link.Down()
	served(a2, b)
	c.send(c.to(wire.KindClient, old, 4))
	c.wantResult(4, shared.CodeNoSuchEntity)
	b.write(pauseOf(wire.TypeResume, b.client(0), 1))
	a2.next(wire.TypeResume)
	if g.links[1].Load() != a2.link || len(*g.up.Load()) != 3 {
		t.Errorf("current is %v of %v", g.links[1].Load(), *g.up.Load())
	}
}

// TestSuccessorGoesFirst: the first start stays what it was.
func TestSuccessorGoesFirst(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	a2 := g.successor(a)
	a2.conn.Close()
	<-a2.link.Down()
	if g.links[1].Load() != a.link {
		t.Errorf("current is %v", g.links[1].Load())
	}
	b.send(b.to(wire.KindClient, a.client(0), 1))
	b.answerOf(a)
	b.wantResult(1, shared.CodeNone)
	b.send(b.to(wire.KindClient, a2.client(0), 2))
	b.wantResult(2, shared.CodeNoSuchEntity)
}

func TestPauseSender(t *testing.T) {
	_, a, b, c := town(t, Config{})
	pause := func(f *fake, typ wire.Type, service, client int64) {
		f.write(wire.AppendSenderPause(nil, typ, &wire.SenderPause{Service: service, Client: shared.ClientID(client), Budget: 9}))
	}
	pause(c, wire.TypePauseSender, 10, a.client(0)) // not its service
	pause(c, wire.TypePauseSender, 20, a.client(9000))
	c.nothing()
	a.nothing()
	if n := c.link.Stats().Strays; n != 2 {
		t.Errorf("%d strays, want 2", n)
	}
	for _, typ := range []wire.Type{wire.TypePauseSender, wire.TypeResumeSender} {
		for _, f := range []*fake{a, b} {
			pause(c, typ, 20, f.client(1))
			var p wire.SenderPause
			want := wire.SenderPause{Service: 20, Client: shared.ClientID(f.client(1)), Budget: 9}
			if err := p.Parse(f.next(typ).Body); err != nil || p != want {
				t.Errorf("got %+v, %v", p, err)
			}
		}
	}
}
