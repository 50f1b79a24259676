package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func (f *fake) register(client int64, slot uint8, rooms ...int64) {
	f.Helper()
	s := wire.Source{Client: shared.ClientID(client), Slot: slot, State: fmt.Appendf(nil, "state of %d", client)}
	f.write(wire.AppendSource(nil, wire.TypeSource, &s))
	for _, room := range rooms {
		f.write(wire.AppendMember(nil, wire.TypeMember, &wire.Member{Client: s.Client, ID: room, Entity: []byte("room")}))
	}
}

// assigned has the process told to read slots, confirms it, and returns what it was given to
// restore before: per client, its groups.
func (f *fake) assigned(slots uint64) map[int64][]int64 {
	f.Helper()
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() { done <- f.link.AssignSlots(ctx, slots) }()
	restored := make(map[int64][]int64)
	var last int64
	f.conn.SetReadDeadline(time.Now().Add(patience)) // that of the last frame may be over
	for {
		fr, err := f.in.Next()
		if err != nil {
			f.Fatal(err)
		}
		switch fr.Type {
		case wire.TypeRestore:
			var s wire.Source
			if err := s.Parse(fr.Body); err != nil || string(s.State) != fmt.Sprintf("state of %d", s.Client) {
				f.Fatalf("restore %+v: %v", s, err)
			}
			last = int64(s.Client)
			restored[last] = nil
		case wire.TypeMember:
			var m wire.Member
			if err := m.Parse(fr.Body); err != nil || int64(m.Client) != last || string(m.Entity) != "room" {
				f.Fatalf("member %+v: %v", m, err)
			}
			restored[last] = append(restored[last], m.ID)
			slices.Sort(restored[last])
		case wire.TypeSlots:
			if v, err := wire.ParseU64(fr.Body); v != slots || err != nil {
				f.Fatalf("slots %x, %v", v, err)
			}
			f.write(wire.AppendSlots(nil, wire.TypeSlotsOK, slots))
			if err := <-done; err != nil {
				f.Fatal(err)
			}
			return restored
		}
	}
}

func (f *fake) crash() {
	f.Helper()
	f.conn.Close()
	<-f.link.Down()
}

// TestSourceSurvivesCrash follows one datagram client over two crashes, to a sibling
// and to its end.
func TestSourceSurvivesCrash(t *testing.T) {
	g, a, b, c := town(t, Config{})
	id, other := a.client(0), a.client(1)
	a.register(id, 3, 7, 8)
	a.register(other, 4)
	no := wire.Member{Client: shared.ClientID(id), ID: 8, Entity: []byte("room")}
	a.write(wire.AppendMember(nil, wire.TypeNoMember, &no))
	a.nothing()
	a.crash()

	c.send(c.to(wire.KindClient, id, 1)) // nobody has it now
	c.wantResult(1, shared.CodeNoSuchProcess)
	c.send(c.to(wire.KindClient, a.client(2), 2)) // was not registered
	c.wantResult(2, shared.CodeNoSuchEntity)

	a2 := g.successor(a)
	if got := a2.assigned(1 << 3); len(got) != 1 || !slices.Equal(got[id], []int64{7}) {
		t.Fatalf("restored %v", got)
	}
	c.send(c.to(wire.KindClient, id, 3))
	c.answerOf(a2)
	c.wantResult(3, shared.CodeNone)
	m := a2.to(wire.KindClient, c.client(0), 0)
	m.FromID = id
	a2.send(m)
	if m := c.message(); m.FromID != id || m.FromProcess != 1 {
		t.Errorf("message from %d of process %d", m.FromID, m.FromProcess)
	}
	b.write(pauseOf(wire.TypePause, b.client(0), 1))
	a2.next(wire.TypePause)

	a2.crash()
	if got := b.assigned(1<<3 | 1<<4); len(got) != 2 {
		t.Fatalf("restored %v, want both", got)
	}
	c.send(c.to(wire.KindClient, id, 4))
	c.answerOf(b)
	c.wantResult(4, shared.CodeNone)
	if got := b.assigned(1 << 3); len(got) != 0 {
		t.Errorf("restored %v again", got)
	}
	for _, id := range []int64{id, other} {
		b.write(wire.AppendSourceGone(nil, shared.ClientID(id)))
	}
	b.nothing()
	c.send(c.to(wire.KindClient, other, 5))
	c.wantResult(5, shared.CodeNoSuchEntity)
	g.noSources(10)
}

// noSources checks that nothing is left of the datagram clients of a service.
func (g *rig) noSources(service int64) {
	g.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.registries[service]
	r.mu.Lock()
	defer r.mu.Unlock()
	for slot, m := range r.slots {
		if m != nil {
			g.Errorf("slot %d has %d sources", slot, len(m))
		}
	}
	if len(r.sources) != 0 || r.members != 0 || g.moved.count.Load() != 0 {
		g.Errorf("%d sources, %d memberships, %d moved are left", len(r.sources), r.members, g.moved.count.Load())
	}
}

// TestSourcesAreTheOwn: a process registers, changes and ends no client but its own.
func TestSourcesAreTheOwn(t *testing.T) {
	g, a, b, c := town(t, Config{})
	id := a.client(0)
	a.register(id, 3, 7)
	a.nothing()
	member := wire.Member{Client: shared.ClientID(id), ID: 9, Entity: []byte("room")}
	for _, f := range []*fake{b, c} { // a sibling, and a process of another service
		f.register(id, 5)
		f.write(wire.AppendMember(nil, wire.TypeMember, &member))
		f.write(wire.AppendSourceGone(nil, shared.ClientID(id)))
		f.register(int64(shared.NewClientID(1, 1, 4_000_000)), 5) // never granted
		f.register(int64(shared.NewClientID(2, f.process, 1)), 5) // another server's
		f.nothing()
		if n := f.link.Stats().Strays; n != 5 {
			t.Errorf("%d strays of process %d", n, f.process)
		}
	}
	member.Client = shared.ClientID(b.client(5))
	b.write(wire.AppendMember(nil, wire.TypeMember, &member)) // its own, but no source
	b.nothing()
	a.crash()
	if got := c.assigned(allSlots); len(got) != 0 {
		t.Errorf("another service restores %v", got)
	}
	if got := b.assigned(1 << 5); len(got) != 0 {
		t.Errorf("restored %v on a slot that was forged", got)
	}
	if got := b.assigned(1 << 3); !slices.Equal(got[id], []int64{7}) {
		t.Errorf("restored %v", got)
	}
	b.write(wire.AppendSourceGone(nil, shared.ClientID(id)))
	b.nothing()
	g.noSources(10)
}

// TestSourcesAreBounded: no more are kept than the service may have clients, orphans
// included.
func TestSourcesAreBounded(t *testing.T) {
	g := newRig(t, Config{})
	l := launchOf(1, 10)
	l.MaxClients = 3
	a := g.launch(l)
	for i := range uint32(5) {
		a.register(a.client(i), 1)
		a.register(a.client(i), 2) // the newest counts
	}
	a.nothing()
	a.crash()
	a2 := g.successor(a)
	a2.register(a2.client(0), 1)
	a2.nothing()
	if got := a2.assigned(allSlots); len(got) != 3 {
		t.Errorf("%d restored, want 3", len(got))
	}
	if got := a2.assigned(1 << 1); len(got) != 0 {
		t.Errorf("restored %v", got)
	}
}

// TestManySourcesAreRestored to a process whose queue holds only a few of them.
func TestManySourcesAreRestored(t *testing.T) {
	const n = 4000
	g := newRig(t, Config{})
	l := launchOf(1, 10)
	l.QueueLimit = 8 << 10
	a := g.launch(l)
	for i := range uint32(n) {
		a.register(a.client(i), uint8(i%wire.MaxSlots), 7)
	}
	a.nothing()
	a.crash()
	a2 := g.successor(a)
	if got := a2.assigned(allSlots); len(got) != n {
		t.Errorf("%d restored, want %d", len(got), n)
	}
}

// TestRestoreFails: who dies or hangs while it restores leaves the rest to the next.
func TestRestoreFails(t *testing.T) {
	const n = 4000
	g := newRig(t, Config{})
	l := launchOf(1, 10)
	l.QueueLimit = 8 << 10
	a := g.launch(l)
	for i := range uint32(n) {
		a.register(a.client(i), 1)
	}
	a.nothing()
	a.crash()
	a2 := g.successor(a)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a2.link.AssignSlots(ctx, 1<<1) }()
	a2.next(wire.TypeRestore)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("assigned to a process that does not read: %v", err)
	}
	go func() { done <- a2.link.AssignSlots(context.Background(), 1<<1) }()
	a2.crash()
	if err := <-done; !errors.Is(err, ErrDown) {
		t.Fatalf("assigned to a process that ends: %v", err)
	}
	if got := g.successor(a2).assigned(allSlots); len(got) != n {
		t.Errorf("%d restored, want %d", len(got), n)
	}
}

// TestSourcesEndWithTheirService: nobody keeps what nobody will restore.
func TestSourcesEndWithTheirService(t *testing.T) {
	g, a, b, _ := town(t, Config{})
	a.register(a.client(0), 1, 7)
	a.nothing()
	b.register(b.client(0), 1, 7)
	b.nothing()
	a.crash()
	g.SetServices(map[int64][]uint16{20: {3}})
	b.crash()
	g.noSources(10)
}
