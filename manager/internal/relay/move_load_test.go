package relay

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// keeper is a process that has one client, which is in a group, and a handler. It
// plays its part in moves and notes what the client and the handler got.
type keeper struct {
	*fake
	g       *rig
	client  int64
	awake   bool // the client is here
	got     map[[2]int64][]uint32
	transit *net.UnixConn
	gone    chan struct{}
}

func newKeeper(f *fake, g *rig, client int64, awake bool) *keeper {
	k := &keeper{fake: f, g: g, client: client, awake: awake, got: make(map[[2]int64][]uint32), gone: make(chan struct{})}
	go k.run()
	return k
}

func (k *keeper) run() {
	defer close(k.gone)
	k.conn.SetDeadline(time.Time{})
	var out []byte
	for {
		f, err := k.in.Next()
		if err != nil {
			return
		}
		switch f.Type {
		case wire.TypeMessage:
			out = k.take(f.Body, out)
		case wire.TypeHealth:
			out = wire.AppendHealthOK(out, &wire.HealthOK{Nonce: binary.BigEndian.Uint64(f.Body)})
		case wire.TypeMoveIn:
			k.transit = k.transfer(k.g, binary.BigEndian.Uint64(f.Body))
			out = wire.AppendGroup(out, wire.TypeSubscribe, room)
			out = wire.AppendMove(out, wire.TypeMoveReady, binary.BigEndian.Uint64(f.Body))
		case wire.TypeMoveOut:
			k.transit = k.transfer(k.g, binary.BigEndian.Uint64(f.Body))
			out = wire.AppendMove(out, wire.TypeMoveReady, binary.BigEndian.Uint64(f.Body))
		case wire.TypeMoveCut:
			if k.awake = !k.awake; !k.awake {
				out = wire.AppendGroup(out, wire.TypeUnsubscribe, room)
			}
			k.transit.Close()
		}
		if k.in.Dry() {
			if _, err := k.conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

var room = &wire.Group{ID: 7, Entity: []byte("room")}

// take notes a message and answers it. A copy for the group does not reach a client
// that is not here; anything else that comes for it is noted wherever it comes.
func (k *keeper) take(body, out []byte) []byte {
	var m wire.Message
	if err := m.Parse(body); err != nil {
		k.Error(err)
	}
	res := wire.Result{Token: m.Token}
	if m.Kind != wire.KindGroup || k.awake {
		key := [2]int64{m.FromID, int64(m.Kind)}
		k.got[key] = append(k.got[key], binary.BigEndian.Uint32(m.Value))
		res.Delivered = 1
	}
	if m.Token == 0 {
		return out
	}
	return wire.AppendResult(out, &res)
}

// caller is a process that sends to the client, the group and the service until it
// is told to stop.
type caller struct {
	*fake
	sent      uint32
	asked     int64
	more      chan struct{} // results came
	answered  atomic.Int64
	delivered atomic.Int64
}

func (c *caller) read() {
	c.conn.SetDeadline(time.Time{})
	for {
		f, err := c.in.Next()
		if err != nil {
			return
		}
		switch f.Type {
		case wire.TypeHealth:
			c.conn.Write(wire.AppendHealthOK(nil, &wire.HealthOK{Nonce: binary.BigEndian.Uint64(f.Body)}))
		case wire.TypeResult:
			var r wire.Result
			if err := r.Parse(f.Body); err != nil {
				c.Error(err)
			}
			c.answered.Add(1)
			select {
			case c.more <- struct{}{}:
			default:
			}
			c.delivered.Add(int64(r.Delivered))
		}
	}
}

func (c *caller) send(client int64, stop *atomic.Bool) {
	var out []byte
	for !stop.Load() {
		for range 20 {
			value := binary.BigEndian.AppendUint32(nil, c.sent)
			token := uint64(c.sent % 3) // most want a result
			c.asked += 3 * int64(min(token, 1))
			for _, m := range []wire.Message{c.to(wire.KindClient, client, token), c.to(wire.KindGroup, 7, token), c.to(wire.KindService, 10, token)} {
				m.Value = value
				out = wire.AppendMessage(out, &m)
			}
			c.sent++
		}
		if _, err := c.conn.Write(out); err != nil {
			c.Error(err)
			return
		}
		out = out[:0]
		for c.asked-c.answered.Load() > 1000 {
			select {
			case <-c.more:
			case <-time.After(patience):
				c.Errorf("%d asked, %d answered", c.asked, c.answered.Load())
				return
			}
		}
	}
}

// TestMoveUnderLoad moves a client, its group and its service through ten starts of
// its process while others send without a pause: each gets every message of every
// sender exactly once and in order, and every token is answered.
func TestMoveUnderLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	g := newRig(t, Config{Window: 1 << 30})
	g.SetServices(map[int64][]uint16{10: {1}, 20: {2, 3, 4, 5}})
	launch := launchOf(1, 10)
	launch.QueueLimit = 1 << 30
	first := g.launch(launch)
	client := first.client(0)
	first.join(7)
	keepers := []*keeper{newKeeper(first, g, client, true)}
	var callers []*caller
	var stop atomic.Bool
	var sending sync.WaitGroup
	for p := range uint16(4) {
		c := &caller{fake: g.start(p+2, 20), more: make(chan struct{}, 1)}
		callers = append(callers, c)
		go c.read()
		sending.Go(func() { c.send(client, &stop) })
	}
	for range 10 {
		from := keepers[len(keepers)-1]
		to := newKeeper(g.successor(from.fake), g, client, false)
		if err := g.Move(ctx, from.link, to.link, Scope{All: true}); err != nil {
			t.Error(err)
			break
		}
		keepers = append(keepers, to)
	}
	stop.Store(true)
	sending.Wait()
	for _, c := range callers { // all that was sent is routed
		if _, err := c.link.Health(ctx); err != nil {
			t.Fatal(err)
		}
	}
	got := make(map[[2]int64][]uint32)
	for _, k := range keepers { // and was read, and answered
		for range 2 {
			if _, err := k.link.Health(ctx); err != nil {
				t.Fatal(err)
			}
		}
		k.conn.Close()
		<-k.gone
		<-k.link.Down()
		for key, numbers := range k.got {
			got[key] = append(got[key], numbers...)
		}
	}
	parts := 0
	for _, k := range keepers {
		if len(k.got) > 0 {
			parts++
		}
	}
	if parts < 3 {
		t.Errorf("only %d of %d starts got anything: not under load", parts, len(keepers))
	}
	for _, c := range callers {
		if _, err := c.link.Health(ctx); err != nil {
			t.Fatal(err)
		}
		from := int64(shared.NewClientID(1, c.process, c.welcome.Sequences.First))
		for _, kind := range []wire.Kind{wire.KindClient, wire.KindGroup, wire.KindService} {
			numbers := got[[2]int64{from, int64(kind)}]
			if len(numbers) != int(c.sent) {
				t.Errorf("%d of %d of kind %d arrived", len(numbers), c.sent, kind)
			}
			for i, n := range numbers {
				if n != uint32(i) {
					t.Errorf("kind %d from %d: %d in place %d", kind, from, n, i)
					break
				}
			}
		}
		if c.answered.Load() != c.asked || c.delivered.Load() != c.asked {
			t.Errorf("%d answered, %d delivered, want %d", c.answered.Load(), c.delivered.Load(), c.asked)
		}
	}
}
