package hub

import (
	"context"
	"strings"
	"testing"

	"github.com/antano/antano/shared/wire"
)

// brittle is a Transport that panics in one of its methods.
type brittle struct {
	Transport
	where string
}

func (b brittle) at(where string) {
	if b.where == where {
		panic(where)
	}
}

func (b brittle) MoveOut(ctx context.Context, slots uint64, give func(*Client, []byte, int) error) error {
	b.at("MoveOut")
	return b.Transport.MoveOut(ctx, slots, give)
}

func (b brittle) MoveBack() {
	b.at("MoveBack")
	b.Transport.MoveBack()
}

func (b brittle) MoveIn(state []byte, fd int, attach func(*Endpoint, string, Writer) (*Client, error)) (func(), error) {
	b.at("MoveIn")
	resume, err := b.Transport.MoveIn(state, fd, attach)
	b.at("behind attach")
	if b.where == "resume" {
		return func() { panic("resume") }, err
	}
	return resume, err
}

// A move that the service panics over is given up, and its clients stay; one that cannot be
// resumed ends alone.
func TestMovePanics(t *testing.T) {
	where := ""
	w := newWorld(t, func(cfg *Config) { cfg.Transport = brittle{cfg.Transport, where} })
	where = "MoveOut"
	a := w.start(1, 1)
	where = ""
	c := a.connect()
	alive := func() {
		t.Helper()
		c.say(`{"type":"ping"}`)
		c.until(t, 1)
	}
	fails := func(id uint16, generation uint32) {
		t.Helper()
		b := w.start(id, generation)
		if err := w.manager.Replace(w.context(), id); err == nil {
			t.Fatal("the move was cut")
		}
		alive()
		if got := a.Metric(Panics) + b.Metric(Panics); got == 0 {
			t.Error("nothing is counted")
		}
		if n := len(b.Rows()); n != 0 {
			t.Errorf("the new process has %d clients", n)
		}
		b.stop()
	}
	alive()
	fails(1, 2)
	a = w.start(2, 1)
	c = a.connect()
	for i, at := range []string{"MoveIn", "behind attach"} {
		where = at
		fails(2, uint32(2+i))
	}
	where = "resume"
	b := w.replace(a, 4)
	a.finish()
	if n := len(b.Rows()); n != 0 || b.Metric(Panics) != 1 {
		t.Errorf("%d clients and %d panics are counted", n, b.Metric(Panics))
	}
}

// A service that panics when it is to read its clients again is not well.
func TestMoveBackPanics(t *testing.T) {
	bubble(t, func(cfg *Config) { cfg.Transport = brittle{&backs{}, "MoveBack"} }, func(x *fixture) {
		m := newOutgoing(x.Hub, wire.MoveOut{Scope: wire.ScopeSlots, Slots: 1})
		defer m.cancel()
		if m.stopped = true; x.Health() != "" {
			t.Error("it is not well before")
		}
		if m.back(); !strings.Contains(x.Health(), "MoveBack panicked") {
			t.Errorf("health says %q", x.Health())
		}
	})
}

// brittleSink panics in what only some writers have.
type brittleSink struct{ *sink }

func (brittleSink) Kept() (int, []byte) { panic("Kept") }
func (brittleSink) Interrupt()          { panic("Interrupt") }

// A writer that panics over what it is asked in passing keeps its client, which the manager
// does not.
func TestWriterPanicsInPassing(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		s := &sink{room: -1, changed: make(chan struct{})}
		c, err := x.json.Connect("brittle", brittleSink{s})
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{c, s, x.t}
		x.wantKept()
		m := newOutgoing(x.Hub, wire.MoveOut{Scope: wire.ScopeAll})
		m.interrupt(c)
		m.cancel()
		p.send(`{"type":"ping","id":1}`)
		p.expect(`{"type":"pong","id":1}`)
		if got := x.Metric(Panics); got != 2 {
			t.Errorf("%d panics are counted", got)
		}
	})
}
