package relay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// adopt brings up a process that served an earlier manager, up to its welcome.
func (g *rig) adopt(process uint16, service int64) *fake {
	g.Helper()
	launch := launchOf(process, service)
	launch.Adopted, launch.Handler = true, service == handled
	link := g.Expect(launch)
	link.Admit(syscall.Getpgrp())
	f := &fake{TB: g, link: link, conn: g.dial(), process: process, service: service}
	f.in = wire.NewReader(f.conn)
	f.write(wire.AppendRejoin(nil, &wire.Hello{Version: shared.ProtocolVersion, Process: process, Generation: 1, Secret: launch.Secret}))
	if err := f.welcome.Parse(f.next(wire.TypeWelcome).Body); err != nil {
		g.Fatal(err)
	}
	link.SetReady(true)
	return f
}

func (f *fake) holds(process uint16, first, count uint32) {
	f.Helper()
	f.write(wire.AppendRange(nil, &wire.Range{Process: process, Sequences: wire.Sequences{First: first, Count: count}}))
}

func (f *fake) rejoined() {
	f.Helper()
	f.write(wire.AppendEmpty(nil, wire.TypeRejoined))
	select {
	case <-f.link.Rejoined():
	case <-f.link.Down():
		f.Fatalf("process %d cannot rejoin: %v", f.process, f.link.Err())
	}
}

// Processes of an earlier manager are reached again under the ids and groups that
// they had, by what was sent before they were all there too; ids go on behind.
func TestRejoin(t *testing.T) {
	g := newRig(t, Config{Held: true})
	g.SkipTo(map[int]uint64{1: 9000, 2: 9000})
	a, b := g.adopt(1, 1), g.adopt(2, 1)
	if a.welcome.Sequences.First != 9000 {
		t.Errorf("fresh range from %d", a.welcome.Sequences.First)
	}
	a.holds(1, 1, 4096)
	a.write(wire.AppendMetric(nil, &wire.Metric{Name: []byte("calls"), Value: 3}))
	a.rejoined()
	if got := a.link.Metrics()["calls"].Value; got != 3 {
		t.Errorf("%d calls are counted", got)
	}
	m := a.to(wire.KindClient, int64(shared.NewClientID(1, 2, 5)), 7)
	m.FromID = int64(shared.NewClientID(1, 1, 4))
	a.send(m)
	m = a.to(wire.KindGroup, 3, 8)
	a.send(m)
	b.holds(2, 1, 8)
	b.holds(1, 5000, 1) // a client that moved there
	b.write(wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{ID: 3, Entity: []byte("room")}))
	b.write(wire.AppendSlots(nil, wire.TypeSlotsOK, 0b101))
	b.rejoined()
	if b.link.Reading() != 0b101 {
		t.Errorf("slots %b", b.link.Reading())
	}
	g.Open()
	for range 2 {
		m := b.message()
		b.answer(m.Token, 1)
	}
	a.wantResult(7, shared.CodeNone)
	a.wantResult(8, shared.CodeNone)
	a.send(a.to(wire.KindClient, int64(shared.NewClientID(1, 1, 5000)), 9))
	b.answer(b.message().Token, 1)
	a.wantResult(9, shared.CodeNone)
	a.send(a.to(wire.KindClient, int64(shared.NewClientID(1, 1, 6000)), 10))
	a.wantResult(10, shared.CodeNoSuchEntity)
	if next := g.Sequences(); next[1] != 9000+sequencesAtATime {
		t.Errorf("sequences %v", next)
	}
}

// Results for the earlier manager are nobody's, however many there are.
func TestRejoinedResultsAreStrays(t *testing.T) {
	g := newRig(t, Config{})
	a := g.adopt(1, 1)
	a.rejoined()
	for token := range uint64(2 * lateBudget) {
		a.answer(token<<indexBits, 1)
	}
	a.nothing()
	if n := a.link.Stats().Strays; n != 2*lateBudget {
		t.Errorf("%d strays", n)
	}
}

// A process that says what it cannot hold, or that it is somebody it is not, is
// refused, and hurts nobody.
func TestRejoinRefused(t *testing.T) {
	for name, c := range map[string]struct {
		say  func(f *fake)
		want string
	}{
		"another's range":  {func(f *fake) { f.holds(1, 5, 1); f.write(wire.AppendEmpty(nil, wire.TypeRejoined)) }, "that another has"},
		"sequence 0":       {func(f *fake) { f.holds(2, 0, 5) }, "cannot hold"},
		"too many":         {func(f *fake) { f.holds(2, 1<<31, 1<<31); f.holds(2, 2, 1<<32-1) }, "cannot hold"},
		"process 8192":     {func(f *fake) { f.holds(8192, 1, 5) }, "cannot hold"},
		"an early message": {func(f *fake) { f.send(f.to(wire.KindGroup, 1, 0)) }, "before rejoined"},
	} {
		g := newRig(t, Config{})
		g.SkipTo(map[int]uint64{1: 9000, 2: 9000})
		a, b := g.adopt(1, 1), g.adopt(2, 1)
		a.holds(1, 1, 100)
		a.rejoined()
		c.say(b)
		<-b.link.Down()
		if err := b.link.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		a.nothing()
	}
	g := newRig(t, Config{})
	for _, adopted := range []bool{true, false} {
		launch := launchOf(3, 1)
		launch.Adopted = adopted
		l := g.Expect(launch)
		l.Admit(syscall.Getpgrp())
		first := helloOf(launch)
		if !adopted {
			first = wire.AppendRejoin(nil, &wire.Hello{Version: shared.ProtocolVersion, Process: 3, Generation: 1, Secret: launch.Secret})
		}
		g.dial().Write(first)
		if err := <-g.refused; !strings.Contains(err.Error(), fmt.Sprintf("is to say rejoin first: %v", adopted)) {
			t.Error(err)
		}
		l.Close()
	}
}

// Quiet lets what is under way end, keeps what is not, and returns when nothing moves;
// a process that does not obey is named.
func TestQuiet(t *testing.T) {
	g := newRig(t, Config{})
	a, b := g.start(1, 1), g.start(2, 1)
	a.send(a.to(wire.KindClient, b.client(1), 5))
	m := b.message()
	quiet := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { quiet <- g.Quiet(ctx, patience) }()
	for _, mode := range []wire.Hold{wire.HoldMessages, wire.HoldAll} {
		for _, f := range []*fake{a, b} {
			if got, err := wire.ParseHold(f.next(wire.TypeHold).Body); err != nil || got != mode {
				t.Fatalf("hold %d, %v", got, err)
			}
			f.write(wire.AppendHold(nil, wire.TypeHeld, mode))
		}
		if mode == wire.HoldMessages {
			b.answer(m.Token, 1)
			a.wantResult(5, shared.CodeNone)
		}
	}
	if err := <-quiet; err != nil {
		t.Fatal(err)
	}
	g.Resume()
	if mode, err := wire.ParseHold(a.next(wire.TypeHold).Body); err != nil || mode != wire.HoldNothing {
		t.Errorf("hold %d, %v", mode, err)
	}
	go func() { quiet <- g.Quiet(ctx, patience) }()
	a.next(wire.TypeHold)
	a.write(wire.AppendHold(nil, wire.TypeHeld, wire.HoldMessages))
	a.nothing() // the confirmation has been read
	cancel()
	if err := <-quiet; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "process 2 generation 1") {
		t.Errorf("%v", err)
	}
}

// A datagram client whose id is of a sibling, also of one that was scaled away since, is
// its process's again; one of another service is not.
func TestRejoinedSources(t *testing.T) {
	g := newRig(t, Config{})
	g.SkipTo(map[int]uint64{1: 9000, 2: 9000})
	g.SetServices(map[int64][]uint16{1: {1, 2}, 2: {4}})
	a, b := g.adopt(1, 1), g.adopt(2, 1)
	a.holds(1, 1, 100)
	a.rejoined()
	moved, scaled, foreign := int64(shared.NewClientID(1, 1, 5)), int64(shared.NewClientID(1, 9, 5)), int64(shared.NewClientID(1, 4, 5))
	b.register(moved, 1)
	b.register(scaled, 2, 7)
	b.register(foreign, 3)
	b.rejoined()
	for i, id := range []int64{moved, scaled} {
		a.send(a.to(wire.KindClient, id, uint64(i+1)))
		b.answer(b.message().Token, 1)
		a.wantResult(uint64(i+1), shared.CodeNone)
	}
	a.send(a.to(wire.KindClient, foreign, 3))
	a.wantResult(3, shared.CodeNoSuchEntity)
	b.crash()
	if got := a.assigned(allSlots); len(got) != 2 || len(got[scaled]) != 1 {
		t.Errorf("restored %v", got)
	}
}
