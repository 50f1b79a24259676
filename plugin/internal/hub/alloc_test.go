package hub

import (
	"strings"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// What comes from a client to the link, from the link to a client or a group, and what
// is answered at once allocates nothing.
func TestAllocationsOfMessages(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has pools forget")
	}
	h := benchHub(t)
	e := benchEndpoint(t, h)
	g := h.groups.put(groupKey{"room", 1})
	g.subscribed = true
	var clients []*Client
	for range 10 {
		c := benchClient(t, e)
		g.enter(c)
		clients = append(clients, c)
	}
	c := clients[0]
	value := []byte(`"` + strings.Repeat("x", 126) + `"`)
	send := []byte(`{"entity":"client","entity_id":123456,"message":"` + strings.Repeat("x", 77) + `"}`)
	ping := []byte(`{"type":"ping","id":1}`)
	toClient := wire.Message{Kind: wire.KindClient, EntityID: int64(c.id), Process: wire.AnyProcess, FromKind: wire.KindClient, FromID: 1,
		Format: shared.FormatJSON, Value: value}
	toGroup := toClient
	toGroup.Kind, toGroup.Entity, toGroup.EntityID = wire.KindGroup, []byte("room"), 1
	for name, run := range map[string]func(){
		"to the link": func() { c.Receive(send); c.Flush() },
		"ping":        func() { c.Receive(ping); c.Flush() },
		"to a client": func() { h.OnMessage(&toClient); h.OnDry() },
		"to a group":  func() { h.OnMessage(&toGroup); h.OnDry() },
		"sent":        func() { c.Send(value) },
		"many to a client": func() {
			for range 400 {
				h.OnMessage(&toClient)
			}
			h.OnDry()
		},
	} {
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if n := h.queued.Load(); n != 0 {
		t.Errorf("%d bytes queued", n)
	}
}

// A payload has the room that was asked for, and is used again only when nobody has it.
func TestPayloadsAreUsedAgain(t *testing.T) {
	h := benchHub(t)
	for size := range 5000 {
		p := roomy(size)
		if len(p.data) != 0 || cap(p.data) < size || cap(p.data) > max(2*size, 64) {
			t.Fatalf("asked for %d bytes, got %d of %d", size, len(p.data), cap(p.data))
		}
		p.data = append(p.data, make([]byte, size)...)
		h.charge(p)
		p.refs.Add(1)
		h.release(p)
		if len(p.data) != size {
			t.Fatal("used again too early")
		}
		h.release(p)
	}
	if n := h.queued.Load(); n != 0 {
		t.Errorf("%d bytes queued", n)
	}
}
