package hub

import (
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// sinkRelay is a link that forgets everything.
type sinkRelay struct{ next uint32 }

func (r *sinkRelay) NextClient() (shared.ClientID, bool) {
	r.next++
	return shared.NewClientID(serverID, processID, r.next), true
}
func (r *sinkRelay) Message(*wire.Message) error       { return nil }
func (r *sinkRelay) Control(func([]byte) []byte) error { return nil }
func (r *sinkRelay) Space() <-chan struct{}            { return nil }
func (r *sinkRelay) Ranges() []wire.Range              { return nil }
func (r *sinkRelay) Inherit([]wire.Range)              {}
func (r *sinkRelay) Renounce()                         {}
func (r *sinkRelay) Flush()                            {}

// nowhere is a Writer that takes everything.
type nowhere struct{}

func (nowhere) Write(messages [][]byte, _ bool) (n int, err error) {
	for _, m := range messages {
		n += len(m)
	}
	return n, nil
}
func (nowhere) Close() error { return nil }

func benchHub(b testing.TB) *Hub {
	b.Helper()
	h := New(Config{
		Identity: shared.Identity{ServerID: serverID, ServiceID: serviceID, ProcessID: processID},
		Params:   shared.ServiceParams{MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON, Limits: shared.DefaultLimits()},
		Window:   1 << 60, Relay: &sinkRelay{}, Page: share.New(0, 1), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	b.Cleanup(func() { h.Close(b.Context()) })
	return h
}

func benchEndpoint(b testing.TB, h *Hub) *Endpoint {
	b.Helper()
	e, err := h.NewEndpoint(EndpointConfig{Frame: line})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

func benchClient(b testing.TB, e *Endpoint) *Client {
	b.Helper()
	c, err := e.Connect("bench", nowhere{})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkReceive is one message of 128 bytes from a client to the link.
func BenchmarkReceive(b *testing.B) {
	c := benchClient(b, benchEndpoint(b, benchHub(b)))
	m := []byte(`{"entity":"client","entity_id":123456,"message":"` + strings.Repeat("x", 77) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		c.Receive(m)
	}
}

// BenchmarkDeliver is one message of 128 bytes from the link to a client.
func BenchmarkDeliver(b *testing.B) {
	h := benchHub(b)
	c := benchClient(b, benchEndpoint(b, h))
	m := wire.Message{Kind: wire.KindClient, EntityID: int64(c.id), Process: wire.AnyProcess, FromKind: wire.KindClient, FromID: 1,
		Format: shared.FormatJSON, Value: []byte(`"` + strings.Repeat("x", 126) + `"`)}
	b.ReportAllocs()
	for b.Loop() {
		h.OnMessage(&m)
		h.OnDry()
	}
}

// BenchmarkDeliverMany is BenchmarkDeliver of 400 messages that arrive at once.
func BenchmarkDeliverMany(b *testing.B) {
	const many = 400
	h := benchHub(b)
	c := benchClient(b, benchEndpoint(b, h))
	m := wire.Message{Kind: wire.KindClient, EntityID: int64(c.id), Process: wire.AnyProcess, FromKind: wire.KindClient, FromID: 1,
		Format: shared.FormatJSON, Value: []byte(`"` + strings.Repeat("x", 126) + `"`)}
	b.ReportAllocs()
	for b.Loop() {
		for range many {
			h.OnMessage(&m)
		}
		h.OnDry()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/message")
}

// BenchmarkGroup is one message of 128 bytes from the link to each of 1000 members.
func BenchmarkGroup(b *testing.B) {
	h := benchHub(b)
	g := h.groups.put(groupKey{"room", 1})
	g.subscribed = true
	e := benchEndpoint(b, h)
	for range 1000 {
		c := benchClient(b, e)
		g.enter(c)
	}
	m := wire.Message{Kind: wire.KindGroup, Entity: []byte("room"), EntityID: 1, Process: wire.AnyProcess, FromKind: wire.KindClient,
		FromID: 1, Format: shared.FormatJSON, Value: []byte(`"` + strings.Repeat("x", 126) + `"`)}
	b.ReportAllocs()
	for b.Loop() {
		h.OnMessage(&m)
		h.OnDry()
	}
}

// BenchmarkIdleClient reports the memory of a client that has nothing to do.
func BenchmarkIdleClient(b *testing.B) {
	h := benchHub(b)
	h.cfg.Params.Limits.MaxClients = 1 << 30
	e := benchEndpoint(b, h)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Connect("bench", nowhere{}); err != nil {
			b.Fatal(err)
		}
	}
}
