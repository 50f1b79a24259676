package relay

import (
	"testing"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

func (f *fake) ack(messages, silent uint64) {
	f.Helper()
	f.write(wire.AppendAck(nil, &wire.Ack{Messages: messages, Silent: silent}))
}

// TestLostIsCounted: of the messages that nobody waits for, a process that ends takes
// those along that it had not acknowledged.
func TestLostIsCounted(t *testing.T) {
	_, a, b, c := town(t, Config{})
	b.join(7)
	for range 5 {
		a.send(a.to(wire.KindClient, b.client(0), 0))
	}
	a.send(a.to(wire.KindClient, b.client(0), 1))
	a.send(a.to(wire.KindGroup, 7, 0))
	for range 7 {
		b.message()
	}
	b.ack(4, 3)
	b.ack(3, 3)   // back
	b.ack(4, 2)   // back
	b.ack(99, 99) // beyond
	b.nothing()
	if s := b.link.Stats(); s.Strays != 3 || s.Open != 1 {
		t.Errorf("%d strays, %d open", s.Strays, s.Open)
	}
	if n := a.link.Stats().Lanes; n != 1 {
		t.Errorf("%d lanes", n)
	}
	b.conn.Close()
	<-b.link.Down()
	a.wantResult(1, shared.CodeProcessLost)
	if n := b.link.Stats().DropsTo[shared.CodeProcessLost]; n != 3 {
		t.Errorf("%d lost, want 3", n)
	}

	// One that never acknowledges does not lose what was written to it.
	a.send(a.to(wire.KindService, 20, 0))
	c.message()
	c.conn.Close()
	<-c.link.Down()
	if n := c.link.Stats().DropsTo[shared.CodeProcessLost]; n != 0 {
		t.Errorf("%d lost of one without acks", n)
	}
}

// TestAckOfWhatWaits: a message without a token that waits for a process which does not
// read is not acknowledged, and neither is one copy of it.
func TestAckOfWhatWaits(t *testing.T) {
	_, a, b, c := town(t, Config{})
	b.join(7)
	c.join(7)
	flood := a.to(wire.KindGroup, 7, 1)
	flood.Value = make([]byte, 1<<18)
	for range 8 { // more than a socket takes
		a.send(flood)
	}
	for range 8 {
		c.message()
	}
	const n = 5
	for range n {
		a.send(a.to(wire.KindGroup, 7, 0))
		c.message()
	}
	var got wire.Ack
	next := func() {
		f, err := a.in.Next()
		for err == nil && f.Type != wire.TypeAck { // the flood is answered when its time is up
			f, err = a.in.Next()
		}
		if err != nil || got.Parse(f.Body) != nil {
			t.Fatalf("%x instead of an ack: %v", f.Raw, err)
		}
	}
	a.conn.SetReadDeadline(time.Now().Add(patience))
	for got.Messages < 8+n {
		if next(); got.Silent != 0 {
			t.Fatalf("acknowledged %+v", got)
		}
	}
	for range 8 + n {
		b.message()
	}
	for got.Silent < n {
		if next(); got.Silent > n {
			t.Fatalf("acknowledged %+v", got)
		}
	}
}

// TestAck: a process is told what was read from it, when that changed; of a message without
// a token not before it has left the manager.
func TestAck(t *testing.T) {
	_, a, b, _ := town(t, Config{})
	a.send(a.to(wire.KindClient, b.client(0), 0))
	var got wire.Ack
	for want, token := (wire.Ack{Messages: 1, Silent: 1}), uint64(0); want.Messages < 4; want.Messages++ {
		for said := got; got != want; said = got {
			if err := got.Parse(a.next(wire.TypeAck).Body); err != nil || got == said || got.Messages > want.Messages || got.Silent > want.Silent {
				t.Fatalf("got %+v, %v, want %+v", got, err, want)
			}
		}
		token++
		a.send(a.to(wire.KindClient, b.client(0), token))
	}
}
