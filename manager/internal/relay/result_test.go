package relay

import (
	"reflect"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestAggregate adds up a group message over processes that answer in any order.
func TestAggregate(t *testing.T) {
	_, a, b, c := town(t, Config{})
	for _, f := range []*fake{a, b, c} {
		f.join(7)
	}
	a.send(a.to(wire.KindGroup, 7, 5))
	ta, tb, tc := a.message().Token, b.message().Token, c.message().Token
	c.answer(tc, 0, shared.CodeOverloaded, shared.CodeUnsupported)
	b.answer(tb, 40)
	b.nothing()
	c.nothing()
	a.nothing() // no result before the last part
	a.answer(ta, 2, shared.CodeOverloaded)
	r := a.result()
	want := []wire.Failure{{Code: shared.CodeOverloaded, Count: 2}, {Code: shared.CodeUnsupported, Count: 1}}
	if r.Token != 5 || r.Delivered != 42 || !reflect.DeepEqual(r.Failures(), want) {
		t.Errorf("got %d delivered %d %v", r.Token, r.Delivered, r.Failures())
	}
}

// TestProcessLost: what is open at a process that dies is answered, once, and its
// part of a group message is one failure.
func TestProcessLost(t *testing.T) {
	_, a, b, c := town(t, Config{})
	b.join(7)
	c.join(7)
	a.send(a.to(wire.KindClient, b.client(0), 1))
	a.send(a.to(wire.KindGroup, 7, 2))
	a.send(a.to(wire.KindClient, b.client(0), 3))
	first := b.message()
	b.message()
	b.message()
	c.answer(c.message().Token, 1)
	b.answer(first.Token, 1) // written before it died, so it counts
	b.conn.Close()
	<-b.link.Down()
	b.link.Close()
	a.wantResult(1, shared.CodeNone)
	lost := []wire.Failure{{Code: shared.CodeProcessLost, Count: 1}}
	delivered := map[uint64]uint32{2: 1, 3: 0} // in either order: c's answer comes by itself
	for range 2 {
		r := a.result()
		if want, ok := delivered[r.Token]; !ok || r.Delivered != want || !reflect.DeepEqual(r.Failures(), lost) {
			t.Errorf("message %d: delivered %d %v", r.Token, r.Delivered, r.Failures())
		}
		delete(delivered, r.Token)
	}
	a.send(a.to(wire.KindClient, b.client(0), 4))
	a.wantResult(4, shared.CodeNoSuchEntity)
	m := a.to(wire.KindService, 10, 5)
	m.Process = 2
	a.send(m)
	a.wantResult(5, shared.CodeNoSuchProcess)
	a.send(a.to(wire.KindGroup, 7, 6)) // only c is left in the group
	c.answer(c.message().Token, 1)
	a.wantResult(6, shared.CodeNone)
	a.nothing()
}

func TestStrayResults(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	a.send(a.to(wire.KindClient, b.client(0), 1))
	token := b.message().Token
	for _, forged := range []uint64{0, 1, token + 1, token + 1<<indexBits, ^uint64(0)} {
		b.answer(forged, 1)
	}
	b.nothing()
	a.nothing()
	if n := b.link.Stats().Strays; n != 5 {
		t.Errorf("%d strays, want 5", n)
	}
	b.answer(token, 1)
	b.answer(token, 1)
	a.wantResult(1, shared.CodeNone)
	b.nothing()
	a.nothing()
	if n := b.link.Stats().Strays; n != 6 {
		t.Errorf("%d strays, want 6", n)
	}
	// One process cannot answer for another.
	a.send(a.to(wire.KindClient, b.client(0), 2))
	token = b.message().Token
	a.answer(token, 1)
	a.nothing()
	b.answer(token, 0, shared.CodeUnsupported)
	a.wantResult(2, shared.CodeUnsupported)
}

func TestEveryCodePasses(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	for code := shared.CodeBadMessage; int(code) < shared.NumCodes; code++ {
		a.send(a.to(wire.KindClient, b.client(0), uint64(code)))
		b.answer(b.message().Token, 0, code)
		a.wantResult(uint64(code), code)
	}
}

// TestOrder sends through every path at once and checks that each receiver sees
// one sender's messages in the order sent.
func TestOrder(t *testing.T) {
	_, a, b, c := town(t, Config{})
	b.join(7)
	c.join(7)
	const rounds = 500
	go func() {
		for i := range rounds {
			m := a.to(wire.KindGroup, 7, 0)
			m.ID = []byte{byte(i >> 8), byte(i)}
			out := wire.AppendMessage(nil, &m)
			m.Kind, m.Entity, m.EntityID = wire.KindClient, nil, b.client(1)
			a.conn.Write(wire.AppendMessage(out, &m))
		}
	}()
	for i := range rounds {
		for _, m := range []wire.Message{b.message(), b.message(), c.message()} {
			if int(m.ID[0])<<8|int(m.ID[1]) != i {
				t.Fatalf("message %x in place %d", m.ID, i)
			}
		}
	}
}

func TestSlabGrowsAndShrinks(t *testing.T) {
	var s slab
	var tokens []uint64
	last := uint64(0)
	const most = 1 << indexBits
	for range most {
		token, code := s.add(entry{token: 1})
		if code != shared.CodeNone || token>>indexBits <= last>>indexBits {
			t.Fatalf("token %d, %s", token, code)
		}
		last = token
		tokens = append(tokens, token)
	}
	if _, code := s.add(entry{token: 1}); code != shared.CodeOverloaded {
		t.Errorf("one more: %s", code)
	}
	for i, token := range tokens {
		if _, ok := s.take(token); !ok {
			t.Fatalf("token %d is gone", token)
		}
		if i%64 != 0 {
			continue
		}
		if _, ok := s.take(token); ok {
			t.Fatalf("token %d works twice", token)
		}
	}
	if s.chunks != nil || s.open != 0 || s.head != 0 || s.tail != 0 {
		t.Errorf("%d chunks kept, %d open", len(s.chunks), s.open)
	}
	if token, _ := s.add(entry{token: 1}); token>>indexBits <= last>>indexBits {
		t.Errorf("token %d after %d", token, last)
	}
}
