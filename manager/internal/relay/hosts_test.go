package relay

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestHostsAgainstModel grants, moves and forgets at random and compares with a
// plain map.
func TestHostsAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	r := New(Config{ServerID: 1})
	links := make([]*Link, 6)
	for i := range links {
		links[i] = r.Expect(Launch{Process: uint16(i / 2), Generation: uint32(i)})
	}
	type sequence struct {
		process uint16
		first   uint32
	}
	held := make(map[sequence]*Link) // by range
	moved := make(map[shared.ClientID]*Link)
	random := func() shared.ClientID {
		return shared.NewClientID(1, uint16(rng.IntN(3)), uint32(1+rng.IntN(40*sequencesAtATime)))
	}
	for range 4000 {
		l, to := links[rng.IntN(6)], links[rng.IntN(6)]
		switch n := rng.IntN(100); {
		case n < 3 && r.granted[l.launch.Process] < 40*sequencesAtATime:
			held[sequence{l.launch.Process, r.grant(l).First}] = l
		case n == 3:
			r.bequeath(l, nil)
			r.moved.forget(l)
			maps.DeleteFunc(held, func(_ sequence, o *Link) bool { return o == l })
			maps.DeleteFunc(moved, func(_ shared.ClientID, o *Link) bool { return o == l })
		case n < 6 && l != to:
			r.bequeath(l, to)
			r.moved.give(l, to)
			for s, o := range held {
				if o == l {
					held[s] = to
				}
			}
			for c, o := range moved {
				if o == l {
					moved[c] = to
				}
			}
		case n < 30:
			c := random()
			r.moved.set(c, to)
			moved[c] = to
		case n < 40:
			c := random()
			r.moved.set(c, nil)
			moved[c] = nil
		case n < 60:
			c := random()
			for c = range moved {
				break
			}
			r.moved.drop(c)
			delete(moved, c)
		}
		for range 20 {
			c := random()
			want, known := moved[c]
			if !known {
				n := c.Sequence() - 1 // of which the first is 1
				want = held[sequence{c.Process(), 1 + n - n%sequencesAtATime}]
			}
			if l, orphan := r.host(int64(c)); l != want || orphan != (known && want == nil) {
				t.Fatalf("host of %d is %v, orphan %t; want %v", c, l, orphan, want)
			}
		}
	}
	if n := r.moved.count.Load(); n != int64(len(moved)) {
		t.Errorf("%d moved, want %d", n, len(moved))
	}
	for p := range 3 {
		if h := r.held[p].Load(); h != nil && len(*h) > 40 {
			t.Errorf("process %d: %d ranges", p, len(*h))
		}
	}
}

// TestOrphan: a client without a process is not there now, which is not the same as
// nobody.
func TestOrphan(t *testing.T) {
	g, a, b, c := town(t, Config{})
	g.moved.set(shared.ClientID(b.client(1)), nil)
	a.send(a.to(wire.KindClient, b.client(1), 1))
	a.wantResult(1, shared.CodeNoSuchProcess)
	g.moved.set(shared.ClientID(b.client(1)), c.link)
	m := a.to(wire.KindClient, b.client(1), 2)
	m.Process = 4
	a.send(m)
	a.answerOf(c)
	a.wantResult(2, shared.CodeNone)
	m.Process = 2
	a.send(m)
	a.wantResult(2, shared.CodeNoSuchEntity)
	m = b.to(wire.KindClient, a.client(0), 3)
	m.FromID = b.client(1)
	b.send(m)
	b.wantResult(3, shared.CodeDenied)
	c.send(m)
	c.answerOf(a)
	c.wantResult(3, shared.CodeNone)
}
