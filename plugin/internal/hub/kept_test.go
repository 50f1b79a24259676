package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// keptSink is the writer of a datagram source.
type keptSink struct {
	*sink
	slot  int
	state string
}

func (s keptSink) Kept() (int, []byte) { return s.slot, []byte(s.state) }

func (x *fixture) connectKept(slot int, state string) *peer {
	x.t.Helper()
	s := &sink{room: -1, changed: make(chan struct{})}
	c, err := x.json.Connect(state, keptSink{s, slot, state})
	if err != nil {
		x.t.Fatal(err)
	}
	return &peer{c, s, x.t}
}

func (x *fixture) wantKept(want ...string) {
	x.t.Helper()
	synctest.Wait()
	got := read(x.relay, &x.relay.kept)
	x.relay.set(func(r *fakeRelay) { r.kept = nil })
	if !slices.Equal(got, want) {
		x.t.Errorf("the manager heard\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestKept: the manager hears of a datagram client, its groups and its end; of streams
// and of what it would not keep it hears nothing.
func TestKept(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connectKept(5, "a")
		x.wantKept("source 1 slot 5 a")
		p.send(`{"type":"join","entity":"room","entity_id":7}`, `{"type":"join","entity":"room","entity_id":8}`, `{"type":"join","entity":"room","entity_id":7}`,
			`{"type":"leave","entity":"room","entity_id":8}`, `{"type":"leave","entity":"room","entity_id":9}`)
		x.wantKept("+1 room/7", "+1 room/8", "-1 room/8")
		stream := x.connect(x.json)
		stream.send(`{"type":"join","entity":"room","entity_id":7}`)
		stream.Client.Close(nil)
		for _, w := range []Writer{keptSink{p.sink, 64, "b"}, keptSink{p.sink, -1, "b"}, keptSink{p.sink, 1, strings.Repeat("b", wire.MaxState+1)}, nil} {
			c, err := x.json.Connect("not kept", w)
			if err != nil {
				t.Fatal(err)
			}
			c.Close(nil)
		}
		x.wantKept()
		p.Client.Close(nil)
		x.wantKept("gone 1")
	})
}

// TestKeptRefused: a join that the manager refuses is taken back.
func TestKeptRefused(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		p := x.connectKept(5, "a")
		x.relay.set(held)
		p.send(`{"type":"join","entity":"room","entity_id":7}`)
		synctest.Wait()
		x.groups.mu.Lock()
		r := wire.Result{Token: x.groups.get(groupKey{"room", 7}).opening.token}
		x.groups.mu.Unlock()
		r.Fail(shared.CodeOverloaded, 1)
		x.relay.do(func() { x.OnResult(&r) })
		x.wantKept("source 1 slot 5 a", "+1 room/7", "-1 room/7")
		p.Client.Close(nil)
		x.wantKept("gone 1")
	})
}

// reviver makes clients of states as a datagram service does.
type reviver struct {
	x       *fixture
	revived []*peer
	resumed int
	fail    error
}

func (r *reviver) MoveOut(context.Context, uint64, func(*Client, []byte, int) error) error {
	return nil
}
func (r *reviver) MoveBack() {}

func (r *reviver) MoveIn(state []byte, fd int, attach func(*Endpoint, string, Writer) (*Client, error)) (func(), error) {
	if fd != -1 || r.fail != nil {
		return nil, r.fail
	}
	s := &sink{room: -1, changed: make(chan struct{})}
	c, err := attach(r.x.json, string(state), keptSink{s, 5, string(state)})
	if err != nil {
		return nil, err
	}
	r.revived = append(r.revived, &peer{c, s, r.x.t})
	return func() { r.resumed++ }, nil
}

func (x *fixture) restore(sequence uint32, state string, rooms ...int64) {
	id := shared.NewClientID(serverID, 99, sequence)
	x.relay.do(func() {
		x.OnRestore(&wire.Source{Client: id, Slot: 5, State: []byte(state)})
		for _, room := range rooms {
			x.OnMember(&wire.Member{Client: id, ID: room, Entity: []byte("room")})
		}
	})
	synctest.Wait()
}

// TestRestore: a client that another process had lives on here, with id and groups.
func TestRestore(t *testing.T) {
	r := &reviver{}
	bubble(t, func(c *Config) { c.Transport = r }, func(x *fixture) {
		r.x = x
		x.restore(41, "a", 7, 8)
		if len(r.revived) != 1 || r.resumed != 1 {
			t.Fatalf("%d clients, %d resumed", len(r.revived), r.resumed)
		}
		p := r.revived[0]
		x.wantKept() // it is registered
		if got := read(x.relay, &x.relay.groups); !slices.Equal(got, []string{"+room/7", "+room/8"}) {
			t.Errorf("groups %v", got)
		}
		p.send(`{"type":"whoami"}`, `{"entity":"room","entity_id":7,"message":"hi","id":1}`)
		p.expect(`{"type":"client","entity":"client","entity_id":SELF,"service_id":2,"process_id":3}`,
			`{"type":"message","entity":"room","entity_id":7,"from":{"entity":"client","entity_id":SELF},"message":"hi"}`,
			`{"type":"receipt","id":1,"delivered":1}`)
		x.connect(x.json).send(`{"entity":"client","entity_id":` + p.expectID(41) + `,"message":"you"}`)
		synctest.Wait()
		if got := p.take(); len(got) != 1 || !strings.Contains(got[0], `"message":"you"`) {
			t.Errorf("it got %q", got)
		}
		p.send(`{"type":"leave","entity":"room","entity_id":8}`)
		x.wantKept("-41 room/8")
		p.Client.Close(nil)
		x.wantKept("gone 41")
	})
}

func (p *peer) expectID(sequence uint32) string {
	p.t.Helper()
	if id := p.ID(); id.Sequence() != sequence || id.Process() != 99 {
		p.t.Errorf("its id is %d of process %d", id.Sequence(), id.Process())
	}
	return fmt.Sprint(uint64(p.ID()))
}

// TestRestoreFails: whatever is not restored is told to be gone.
func TestRestoreFails(t *testing.T) {
	r := &reviver{}
	bubble(t, func(c *Config) { c.Transport = r }, func(x *fixture) {
		r.x = x
		r.fail = errors.New("no such slot")
		x.restore(41, "a", 7)
		x.wantKept("gone 41")
		r.fail = nil
		x.restore(42, "b", 7)
		x.restore(42, "again")
		x.wantKept("gone 42")
		x.moves.inTurn <- struct{}{}
		x.restore(43, "c")
		time.Sleep(restoreWithin)
		x.wantKept("gone 43")
		<-x.moves.inTurn
		x.Drain(context.Background())
		x.wantKept("gone 42")
		x.restore(44, "d")
		x.wantKept("gone 44")
	})
	bubble(t, nil, func(x *fixture) {
		x.restore(45, "nobody to make it")
		x.wantKept("gone 45")
	})
}

// TestReplayKept: a successor of the manager hears of the clients and their groups.
func TestReplayKept(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		x.connectKept(5, "a").send(`{"type":"join","entity":"room","entity_id":7}`)
		x.connectKept(6, "b").Client.Close(nil)
		x.connect(x.json).send(`{"type":"join","entity":"room","entity_id":7}`)
		synctest.Wait()
		var got []string
		for b := x.Replay(nil); len(b) > 0; {
			f, n, _, err := wire.Next(b)
			must(err)
			if f.Type != wire.TypeSubscribe {
				got = append(got, keptText(f))
			}
			b = b[n:]
		}
		if !slices.Equal(got, []string{"source 1 slot 5 a", "+1 room/7"}) {
			t.Errorf("replayed %q", got)
		}
	})
}
