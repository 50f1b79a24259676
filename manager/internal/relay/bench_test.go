package relay

import (
	"sync/atomic"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// payload makes a message of 128 bytes on the wire.
func payload(m *wire.Message) {
	m.Value = nil
	m.Value = make([]byte, 128-m.FrameSize())
}

// BenchmarkRelayOneWay moves 128-byte messages from one process to another over
// real sockets, as fast as they take them.
func BenchmarkRelayOneWay(b *testing.B) {
	_, src, dst, _ := town(b, Config{Window: 1 << 20})
	m := src.to(wire.KindClient, dst.client(0), 0)
	payload(&m)
	frame := wire.AppendMessage(nil, &m)
	const batch = 256
	burst := make([]byte, 0, batch*len(frame))
	for range batch {
		burst = append(burst, frame...)
	}
	var left atomic.Int64
	left.Store(1 << 20)
	more := make(chan struct{}, 1)
	go func() { // the source's reader: credit
		for {
			f, err := src.in.Next()
			if err != nil {
				return
			}
			var c wire.Credit
			if f.Type == wire.TypeCredit && c.Parse(f.Body) == nil {
				left.Add(int64(c.Bytes))
				select {
				case more <- struct{}{}:
				default:
				}
			}
		}
	}()
	total := (b.N + batch - 1) / batch * batch
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for range total / batch {
			for left.Load() <= 0 {
				<-more
			}
			left.Add(-int64(len(burst)))
			if _, err := src.conn.Write(burst); err != nil {
				return
			}
		}
	}()
	for range total {
		if f, err := dst.in.Next(); err != nil || f.Type != wire.TypeMessage {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	src.link.linger(errClosed)
}

// BenchmarkRelayRoundTrip sends one message, waits for its result, and so on.
func BenchmarkRelayRoundTrip(b *testing.B) {
	_, src, dst, _ := town(b, Config{})
	m := src.to(wire.KindClient, dst.client(0), 1)
	payload(&m)
	frame := wire.AppendMessage(nil, &m)
	go func() {
		var out []byte
		for {
			f, err := dst.in.Next()
			if err != nil {
				return
			}
			var got wire.Message
			if got.Parse(f.Body) == nil {
				res := wire.Result{Token: got.Token, Delivered: 1}
				out = wire.AppendResult(out[:0], &res)
				dst.conn.Write(out)
			}
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		src.conn.Write(frame)
		for {
			f, err := src.in.Next()
			if err != nil {
				b.Fatal(err)
			}
			if f.Type == wire.TypeResult {
				break
			}
		}
	}
	b.StopTimer()
	dst.link.linger(errClosed)
}

// answering is the sink of a process that answers every message at once.
type answering struct{ answers []byte }

func (a *answering) TryWrite(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		f, n, _, err := wire.Next(rest)
		if err != nil || n == 0 {
			panic("the router wrote half a frame")
		}
		rest = rest[n:]
		var m wire.Message
		if f.Type == wire.TypeMessage && m.Parse(f.Body) == nil && m.Token != 0 {
			res := wire.Result{Token: m.Token, Delivered: 1}
			a.answers = wire.AppendResult(a.answers, &res)
		}
	}
	return len(p), nil
}

func (a *answering) Write(p []byte) (int, error) { return a.TryWrite(p) }

// TestRoutingAllocatesNothing routes messages to a client, a service and a group,
// and all their results.
func TestRoutingAllocatesNothing(t *testing.T) {
	r := New(Config{ServerID: 1, Window: 1 << 20})
	r.SetServices(map[int64][]uint16{10: {0, 1, 2}})
	var links []*Link
	var sinks []*answering
	for p := range uint16(3) {
		l, sink := r.Expect(launchOf(p, 10)), new(answering)
		l.queue = wire.NewQueue(sink, 1<<20, settle)
		r.grant(l)
		r.arrive(l)
		r.groups.add(l, []byte("room"), 7)
		l.SetReady(true)
		links, sinks = append(links, l), append(sinks, sink)
	}
	m := wire.Message{Token: 5, Process: wire.AnyProcess, FromKind: wire.KindClient,
		FromID: int64(shared.NewClientID(1, 0, 1)), Value: make([]byte, 80)}
	var input []byte
	m.Kind, m.EntityID = wire.KindClient, int64(shared.NewClientID(1, 1, 3))
	input = wire.AppendMessage(input, &m)
	m.Kind, m.EntityID = wire.KindService, 10
	input = wire.AppendMessage(input, &m)
	m.Kind, m.EntityID, m.Entity = wire.KindGroup, 7, []byte("room")
	input = wire.AppendMessage(input, &m)
	feed := func(l *Link, in []byte) {
		for len(in) > 0 {
			f, n, _, err := wire.Next(in)
			if err == nil {
				err = l.frame(f)
			}
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
		}
		l.reader.out.flush()
	}
	step := func() {
		for range 20 {
			feed(links[0], input)
		}
		for i, l := range links {
			feed(l, sinks[i].answers)
			sinks[i].answers = sinks[i].answers[:0]
		}
	}
	for range 5 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n >= 1 && !raced {
		t.Errorf("%v allocations for 60 messages", n)
	}
	for _, l := range links {
		if l.pending.open != 0 {
			t.Errorf("%d open at %s", l.pending.open, l)
		}
	}
}
