package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestMoveCut: what is for the clients goes to one process up to the cut and to the
// other one from there on, whoever they send as with them.
func TestMoveCut(t *testing.T) {
	g, a, b, c := town(t, Config{})
	a2 := g.successor(a)
	a.join(7)
	h := g.moving(t.Context(), a, a2, Scope{All: true})
	a2.join(7)
	c.send(c.to(wire.KindClient, a.client(0), 1))
	c.answerOf(a)
	c.wantResult(1, shared.CodeNone)
	late := c.to(wire.KindClient, a.client(0), 2)
	c.send(late)
	open := a.message().Token
	h.cut()
	c.send(c.to(wire.KindClient, a.client(0), 3))
	c.answerOf(a2)
	c.wantResult(3, shared.CodeNone)
	a.answer(open, 1)
	c.wantResult(2, shared.CodeNone)
	service := c.to(wire.KindService, 10, 4)
	service.Process = 1
	c.send(service)
	c.answerOf(a2)
	c.wantResult(4, shared.CodeNone)
	a.nothing()

	m := a.to(wire.KindClient, b.client(0), 5)
	a.send(m)
	a.wantResult(5, shared.CodeDenied)
	a2.send(m)
	a2.answerOf(b)
	a2.wantResult(5, shared.CodeNone)
	if g.links[1].Load() != a2.link {
		t.Errorf("current is %v", g.links[1].Load())
	}
	h.end()
	a.conn.Close()
	<-a.link.Down()
	c.send(c.to(wire.KindClient, a.client(0), 6))
	c.answerOf(a2)
	c.wantResult(6, shared.CodeNone)
}

// TestGroupAfterTheCut: copies that are routed to a process before it has left its
// groups, and after its clients left it, were for nobody; those before the cut are lost
// with it.
func TestGroupAfterTheCut(t *testing.T) {
	g, a, _, c := town(t, Config{})
	a2 := g.successor(a)
	a.join(7)
	h := g.moving(t.Context(), a, a2, Scope{All: true})
	a2.join(7)
	before, after := c.to(wire.KindGroup, 7, 1), c.to(wire.KindGroup, 7, 2)
	c.send(before)
	a.message()
	a2.answer(a2.message().Token, 0)
	h.cut()
	c.send(after)
	a.message()
	a2.answer(a2.message().Token, 1)
	h.end()
	a.conn.Close()
	<-a.link.Down()
	c.wantResult(1, shared.CodeProcessLost)
	c.wantResult(2, shared.CodeNone)
}

// TestMoveToSibling: a process that ends leaves its clients to another one.
func TestMoveToSibling(t *testing.T) {
	g, a, b, c := town(t, Config{})
	h := g.moving(t.Context(), b, a, Scope{All: true})
	h.cut()
	m := c.to(wire.KindClient, b.client(0), 1)
	c.send(m)
	c.answerOf(a)
	c.wantResult(1, shared.CodeNone)
	m.Process = 2 // where it was
	c.send(m)
	c.wantResult(1, shared.CodeNoSuchEntity)
	m.Process = 1
	c.send(m)
	c.answerOf(a)
	c.wantResult(1, shared.CodeNone)
	service := c.to(wire.KindService, 10, 2)
	service.Process = 2
	c.send(service)
	c.wantResult(2, shared.CodeNoSuchProcess)
	h.end()
	b.conn.Close()
	<-b.link.Down()
	a2 := g.successor(a)
	h = g.moving(t.Context(), a, a2, Scope{All: true})
	h.cut()
	h.end()
	m.Process, m.Token = wire.AnyProcess, 3
	c.send(m)
	c.answerOf(a2)
	c.wantResult(3, shared.CodeNone)
	b2 := g.successor(b)
	if b2.client(0) == b.client(0) {
		t.Error("an id was granted twice")
	}
	c.send(c.to(wire.KindClient, b2.client(0), 4))
	c.answerOf(b2)
	c.wantResult(4, shared.CodeNone)
}

// TestMoveSlots: some clients move, the others and the process stay, and back.
func TestMoveSlots(t *testing.T) {
	g, a, b, c := town(t, Config{})
	one := shared.ClientID(a.client(5))
	for client, slot := range map[shared.ClientID]uint8{one: 2, shared.ClientID(a.client(6)): 3} {
		a.write(wire.AppendSource(nil, wire.TypeSource, &wire.Source{Client: client, Slot: slot}))
	}
	a.nothing()
	goes := func(id int64, f *fake) {
		t.Helper()
		c.send(c.to(wire.KindClient, id, 1))
		c.answerOf(f)
		c.wantResult(1, shared.CodeNone)
	}
	h := g.moving(t.Context(), a, b, Scope{Slots: 4})
	h.cut()
	h.end()
	goes(int64(one), b)
	goes(a.client(6), a)
	service := c.to(wire.KindService, 10, 2)
	service.Process = 1
	c.send(service)
	c.answerOf(a)
	c.wantResult(2, shared.CodeNone)
	h = g.moving(t.Context(), b, a, Scope{Slots: 4})
	h.cut()
	h.end()
	goes(int64(one), a)
	if n := g.moved.count.Load(); n != 0 {
		t.Errorf("%d exceptions are left", n)
	}
}

// TestMoveGivenUp ends a move at every step before its cut, in every way.
func TestMoveGivenUp(t *testing.T) {
	steps := []string{"out dials", "in dials", "in ready", "out ready"}
	for done := range len(steps) {
		for _, end := range []string{"out aborts", "in aborts", "out ends", "in ends", "out breaks", "ctx"} {
			if end == "out breaks" && done < 2 {
				continue
			}
			name := "first " + end
			if done > 0 {
				name = steps[done-1] + " " + end
			}
			t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
				g, a, b, c := town(t, Config{})
				before := descriptors(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				h := g.moving(ctx, a, b, Scope{All: true})
				for _, s := range steps[:done] {
					h.step(s)
				}
				if end == "ctx" {
					cancel()
				} else {
					h.step(end)
				}
				if err := <-h.done; err == nil {
					t.Fatal("it moved")
				}
				alive := []*fake{a, b}
				switch end {
				case "out ends":
					alive = alive[1:]
				case "in ends":
					alive = alive[:1]
				}
				for _, f := range alive {
					f.next(wire.TypeMoveAbort)
					f.write(wire.AppendMove(nil, wire.TypeMoveReady, h.move)) // too late
					c.send(c.to(wire.KindClient, f.client(0), 1))
					c.answerOf(f)
					c.wantResult(1, shared.CodeNone)
				}
				for _, conn := range h.conns {
					if conn == nil {
						continue
					}
					if n, err := conn.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("a transfer connection lives: %d, %v", n, err)
					}
					conn.Close()
				}
				if len(g.moves) != 0 || a.link.move != nil || b.link.move != nil {
					t.Error("the move is left over")
				}
				for _, f := range []*fake{a, b} {
					f.conn.Close()
					f.link.Close()
				}
				pollDescriptors(t, before-4)
			})
		}
	}
}

// TestMoveOneByOne: a link has a part in one move at a time, up to the end of the
// transfer.
func TestMoveOneByOne(t *testing.T) {
	g, a, b, c := town(t, Config{})
	x := g.start(3, 10)
	if err := g.Move(t.Context(), a.link, c.link, Scope{All: true}); err == nil {
		t.Error("moved to another service")
	}
	if err := g.Move(t.Context(), a.link, a.link, Scope{All: true}); err == nil {
		t.Error("moved to itself")
	}
	h := g.moving(t.Context(), a, b, Scope{All: true})
	h.cut()
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Move(short, b.link, x.link, Scope{All: true}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	second := make(chan *handover)
	go func() { second <- g.moving(t.Context(), b, x, Scope{All: true}) }()
	h.end()
	h = <-second
	h.cut()
	h.end()
	c.send(c.to(wire.KindClient, a.client(0), 1))
	c.answerOf(x)
	c.wantResult(1, shared.CodeNone)
	x.conn.Close()
	<-x.link.Down()
	if err := g.Move(t.Context(), b.link, x.link, Scope{All: true}); !errors.Is(err, ErrDown) {
		t.Error(err)
	}
}

// TestTransferRefused: only the two of a move transfer, once.
func TestTransferRefused(t *testing.T) {
	g, a, b, c := town(t, Config{})
	h := g.moving(t.Context(), a, b, Scope{All: true})
	h.step("out dials")
	refused := func(conn *net.UnixConn) {
		t.Helper()
		if err := <-g.refused; !strings.Contains(err.Error(), "does not wait for it") {
			t.Error(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
	}
	refused(c.transfer(g, h.move))
	refused(b.transfer(g, h.move+1))
	refused(a.transfer(g, h.move))
	l := a.link.launch
	l.Secret[0]++
	conn := (&fake{TB: t, link: &Link{launch: l}}).transfer(g, h.move)
	if err := <-g.refused; !strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	conn.Close()
	h.step("in dials")
	h.step("in ready")
	h.step("out ready")
	if err := <-h.done; err != nil {
		t.Error(err)
	}
	a.next(wire.TypeMoveCut)
	a.write(wire.AppendMove(nil, wire.TypeMoveReady, h.move))
	a.write(wire.AppendMove(nil, wire.TypeMoveReady, h.move+9))
	a.nothing()
	if n := a.link.Stats().Strays; n != 2 {
		t.Errorf("%d strays, want 2", n)
	}
	h.end()
}

// TestMoveTakesTooLong: without a word from the processes there is no cut.
func TestMoveTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLab(t, Config{})
		defer b.close()
		out, in := b.start(1, 10, 1<<20), b.start(2, 10, 1<<20)
		start := time.Now()
		err := b.Move(t.Context(), out.link, in.link, Scope{All: true})
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != moveTime {
			t.Errorf("after %v: %v", took, err)
		}
		for _, s := range []*subject{out, in} {
			s.read(wire.TypeMoveAbort)
		}
	})
}

// TestTransferIsBounded: a transfer ends some time after the cut, or after one of its
// processes.
func TestTransferIsBounded(t *testing.T) {
	for name, want := range map[string]time.Duration{"cut": transferTime, "out": leaveTime, "in": leaveTime} {
		synctest.Test(t, func(t *testing.T) {
			r := New(Config{ServerID: 1})
			m := &move{id: 1, sides: [2]*Link{r.Expect(launchOf(1, 10)), r.Expect(launchOf(2, 10))},
				cut: make(chan struct{}), over: make(chan struct{})}
			r.moves[1] = m
			start := time.Now()
			close(map[string]chan struct{}{"cut": m.cut, "out": m.sides[sideOut].down, "in": m.sides[sideIn].down}[name])
			r.attend(t.Context(), m)
			if took := time.Since(start); took != want {
				t.Errorf("%s: over after %v, want %v", name, took, want)
			}
		})
	}
}

// TestServeEndsInAMove: nothing of a move is left.
func TestServeEndsInAMove(t *testing.T) {
	for _, cut := range []bool{false, true} {
		g, a, b, _ := town(t, Config{})
		h := g.moving(t.Context(), a, b, Scope{All: true})
		if cut {
			h.cut()
		} else {
			h.step("out dials")
			h.step("in dials")
		}
		g.cancel()
		<-g.ended
		if !cut {
			if err := <-h.done; err == nil {
				t.Error("moved")
			}
		}
		if len(g.moves) != 0 {
			t.Error("a move is left")
		}
	}
}
