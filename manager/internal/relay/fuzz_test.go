package relay

import (
	"context"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// FuzzLink feeds any bytes to a link that is up. Whatever happens to it, its
// neighbours go on, and nothing of it is left afterwards.
func FuzzLink(f *testing.F) {
	res := wire.Result{Token: 1, Delivered: 1}
	msg := wire.Message{Token: 1, Kind: wire.KindGroup, EntityID: 7, Entity: []byte("room"), Process: wire.AnyProcess,
		FromKind: wire.KindService, FromID: 10, Value: []byte("x")}
	group := wire.AppendGroup(nil, wire.TypeSubscribe, &wire.Group{Token: 2, ID: 7, Entity: []byte("room")})
	all := wire.AppendMessage(group, &msg)
	msg.Kind, msg.Entity, msg.EntityID = wire.KindClient, nil, int64(shared.NewClientID(1, 2, 1))
	all = wire.AppendMessage(all, &msg)
	all = wire.AppendPause(all, wire.TypePause, &wire.Pause{Client: shared.NewClientID(1, 1, 1), Process: 2, Budget: 5})
	all = wire.AppendEmpty(all, wire.TypeMoreSequences)
	all = wire.AppendSlots(all, wire.TypeSlotsOK, 1)
	client := shared.NewClientID(1, 1, 1)
	all = wire.AppendSource(all, wire.TypeSource, &wire.Source{Client: client, Slot: 3, State: []byte("x")})
	member := wire.Member{Client: client, ID: 7, Entity: []byte("room")}
	all = wire.AppendMember(all, wire.TypeMember, &member)
	all = wire.AppendMember(all, wire.TypeNoMember, &member)
	all = wire.AppendSourceGone(all, client)
	all = wire.AppendMove(all, wire.TypeMoveReady, 1)
	all = wire.AppendMove(all, wire.TypeMoveAbort, 2)
	all = wire.AppendSenderPause(all, wire.TypePauseSender, &wire.SenderPause{Service: 10, Client: shared.NewClientID(1, 2, 1), Budget: 5})
	all = wire.AppendSenders(all, wire.KindClient, []int64{1, 2})
	all = wire.AppendHealthOK(all, &wire.HealthOK{Nonce: 1})
	f.Add(wire.AppendResult(all, &res))
	f.Add(wire.AppendHello(nil, &wire.Hello{}))
	f.Add([]byte{0, 0, 0, 1, 99})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newLab(t, Config{Window: 4096})
		defer b.close()
		b.SetServices(map[int64][]uint16{10: {1, 2}, 20: {3}})
		bad, x, y := b.start(1, 10, 1<<22), b.start(2, 10, 1<<22), b.start(3, 20, 1<<22)
		bad.write(data)
		bad.end.Close()
		<-bad.link.Down()
		m := x.to(wire.KindClient, y.client(0), 77)
		m.Value = []byte("still here")
		x.write(wire.AppendMessage(nil, &m))
		for {
			var got wire.Message
			if err := got.Parse(y.read(wire.TypeMessage).Body); err != nil {
				t.Fatal(err)
			}
			if got.FromProcess == 1 {
				continue
			}
			if string(got.Value) != "still here" {
				t.Fatalf("got %+v", got)
			}
			break
		}
		for i := range b.groups.shards {
			if b.groups.shards[i].table.Len() != 0 {
				t.Fatal("a subscription is left")
			}
		}
		if bad.link.pending.open != 0 || bad.link.queue.Queued() != 0 {
			t.Fatalf("%d open, %d queued", bad.link.pending.open, bad.link.queue.Queued())
		}
		if _, err := bad.link.Health(context.Background()); err == nil {
			t.Fatal("a dead link is healthy")
		}
	})
}
