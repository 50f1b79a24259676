package relay

import (
	"encoding/json"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// What was open reaches its source through the next router under the tokens of the
// first one: a direct message, a copy of a group message of which the other was
// delivered before, what is open at a process that did not come back, and what nobody
// answers in time.
func TestSnapshot(t *testing.T) {
	g := newRig(t, Config{})
	a, b, c := g.start(1, 1), g.start(2, 1), g.start(3, 1)
	for _, f := range []*fake{b, c} {
		f.join(7)
	}
	a.send(a.to(wire.KindGroup, 7, 100))
	first := b.message()
	b.answer(first.Token, 1)
	b.nothing()
	c.message()
	for token := uint64(101); token < 104; token++ {
		a.send(a.to(wire.KindClient, b.client(1), token))
	}
	direct, late, never := b.message().Token, b.message().Token, b.message().Token
	a.send(a.to(wire.KindClient, c.client(1), 104))
	c.message()
	c.send(c.to(wire.KindClient, b.client(1), 9))
	gone := b.message().Token // its source does not come back
	saved, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}

	saved = aged(t, saved, 103)
	next := newRig(t, Config{Held: true})
	next.SkipTo(g.Sequences())
	a2, b2 := next.adopt(1, 1), next.adopt(2, 1)
	a2.holds(1, a.welcome.Sequences.First, a.welcome.Sequences.Count)
	a2.rejoined()
	b2.rejoined()
	b2.answer(direct, 1) // before the router reads it
	if err := next.Restore(saved); err != nil {
		t.Fatal(err)
	}
	got := map[uint64]wire.Result{}
	for range 2 { // of the process that is not there
		r := a2.result()
		got[r.Token] = r
	}
	next.Open()
	b2.answer(late, 0, shared.CodeOverloaded)
	for range 3 {
		r := a2.result()
		got[r.Token] = r
	}
	for token, want := range map[uint64]wire.Result{
		100: resultOf(1, shared.CodeProcessLost), 101: resultOf(1), 102: resultOf(0, shared.CodeOverloaded), 103: resultOf(0, shared.CodeTimeout),
		104: resultOf(0, shared.CodeProcessLost),
	} {
		want.Token = token
		if got[token] != want {
			t.Errorf("result %+v, want %+v", got[token], want)
		}
	}
	b2.answer(never, 1) // too late
	b2.answer(gone, 1)
	a2.nothing()
	m := a2.to(wire.KindService, 1, 105)
	m.FromID, m.Process = a.client(0), 2
	next.SetServices(map[int64][]uint16{1: {1, 2}})
	a2.send(m)
	b2.answer(b2.message().Token, 1)
	a2.wantResult(105, shared.CodeNone)
	if s := b2.link.Stats(); s.Open != 0 || s.Strays != 2 {
		t.Errorf("%d open, %d strays", s.Open, s.Strays)
	}
}

// aged makes what was asked under a token as old as it may be.
func aged(t *testing.T, saved []byte, token uint64) []byte {
	t.Helper()
	var s snapshot
	if err := json.Unmarshal(saved, &s); err != nil {
		t.Fatal(err)
	}
	for i := range s.Open {
		if s.Open[i].Asked == token {
			s.Open[i].Age = expireAfter
		}
	}
	saved, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	return saved
}

func resultOf(delivered uint32, failed ...shared.Code) wire.Result {
	r := wire.Result{Delivered: delivered}
	for _, c := range failed {
		r.Fail(c, 1)
	}
	return r
}

// Both parts of a group message are open: the source hears of them once, together.
func TestSnapshotOfASum(t *testing.T) {
	g := newRig(t, Config{})
	a, b, c := g.start(1, 1), g.start(2, 1), g.start(3, 1)
	for _, f := range []*fake{b, c} {
		f.join(7)
	}
	a.send(a.to(wire.KindGroup, 7, 100))
	tokens := []uint64{b.message().Token, c.message().Token}
	saved, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	next := newRig(t, Config{Held: true})
	all := []*fake{next.adopt(2, 1), next.adopt(3, 1), next.adopt(1, 1)}
	for _, f := range all {
		f.rejoined()
	}
	if err := next.Restore(saved); err != nil {
		t.Fatal(err)
	}
	next.Open()
	all[0].answer(tokens[0], 2)
	all[2].nothing()
	all[1].answer(tokens[1], 0)
	if r := all[2].result(); r.Token != 100 || r.Delivered != 2 || len(r.Failures()) != 0 {
		t.Errorf("%+v", r)
	}
}

// FuzzRestore has a router take up anything. What it accepts it ends.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"links":[{"p":1,"g":1},{"p":2,"g":1}],"open":[{"at":1,"k":1048576,"from":0,"ask":5,"age":3},{"at":1,"k":1048577,"from":0,"ask":6,"grp":true,"sum":1}],"sums":[{"d":1,"f":{"6":2}}]}`))
	f.Add([]byte(`{"links":[{"p":1,"g":1}],"open":[{"at":1,"k":1048576,"from":0,"ask":5}]}`))
	f.Add([]byte(`{"open":[{"at":-1}],"sums":[{"f":{"99":1}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newLab(t, Config{})
		defer b.close()
		x, y := b.start(1, 10, 1<<22), b.start(2, 10, 1<<22)
		if err := b.Restore(data); err != nil {
			return
		}
		var out outbox
		for _, l := range []*Link{x.link, y.link} {
			n, seen := l.pending.count(), 0
			l.pending.each(1<<indexBits, func(uint64, *entry) { seen++ })
			if n != seen {
				t.Fatalf("%d of %d are in the list", seen, n)
			}
			l.pending.close(&out)
			if l.pending.count() != 0 {
				t.Fatal("some are left")
			}
		}
		out.flush()
	})
}
