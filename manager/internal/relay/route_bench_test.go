package relay

import (
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

type discard struct{}

func (discard) TryWrite(p []byte) (int, error) { return len(p), nil }
func (discard) Write(p []byte) (int, error)    { return len(p), nil }

// BenchmarkRoute routes direct messages without sockets: what the router itself
// costs, its gate and its tables included.
func BenchmarkRoute(b *testing.B) {
	r := New(Config{ServerID: 1, Window: 1 << 30})
	var links []*Link
	for p := range uint16(2) {
		l := r.Expect(launchOf(p, 10))
		l.queue = wire.NewQueue(discard{}, 1<<20, settle)
		r.grant(l)
		r.arrive(l)
		links = append(links, l)
	}
	m := wire.Message{Kind: wire.KindClient, EntityID: int64(shared.NewClientID(1, 1, 3)), Process: wire.AnyProcess,
		FromKind: wire.KindClient, FromID: int64(shared.NewClientID(1, 0, 1))}
	payload(&m)
	f, _, _, _ := wire.Next(wire.AppendMessage(nil, &m))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		links[0].enter()
		links[0].reader.frames++
		links[0].reader.bytes += uint64(len(f.Raw))
		if err := links[0].frame(f); err != nil {
			b.Fatal(err)
		}
		if i%256 == 0 {
			links[0].exit()
			links[0].reader.out.flush()
		}
	}
}
