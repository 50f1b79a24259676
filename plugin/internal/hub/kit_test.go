package hub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/plugin/internal/share"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

const (
	serverID  = 7
	serviceID = 2
	processID = 3
)

// fakeRelay is a manager with one process: what is sent comes back, unless held.
type fakeRelay struct {
	hub    *Hub
	events chan func()
	done   chan struct{}

	mu       sync.Mutex
	seq      uint32
	hold     bool // messages and subscriptions go nowhere
	full     bool
	space    chan struct{}
	credit   bool // give back the window of a message at once
	messages []wire.Message
	results  []wire.Result
	groups   []string // "+room/1" and "-room/1"
	pauses   []string
	moves    []string // "move ready"
	kept     []string // "source 1 slot 2 state", "gone 1", "+1 room/7" and "-1 room/7"
	metrics  []string // the frames, as name=value
}

func (r *fakeRelay) run() {
	defer close(r.done)
	for f := range r.events {
		f()
		if len(r.events) == 0 {
			r.hub.OnDry()
		}
	}
}

func (r *fakeRelay) NextClient() (shared.ClientID, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	return shared.NewClientID(serverID, processID, r.seq), true
}

func clone(m *wire.Message) wire.Message {
	c := *m
	c.Entity, c.ID, c.Value = bytes.Clone(m.Entity), bytes.Clone(m.ID), bytes.Clone(m.Value)
	c.FromProcess = processID
	return c
}

func (r *fakeRelay) Message(m *wire.Message) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return wire.ErrFull
	}
	c := clone(m)
	r.messages = append(r.messages, c)
	if r.hold {
		return nil
	}
	r.events <- func() { r.hub.OnMessage(&c) }
	if lane, ok := wire.LaneOf(m.Kind, m.EntityID); ok && r.credit {
		size := uint32(m.FrameSize())
		r.events <- func() { r.hub.OnCredit(wire.Credit{Lane: lane, Bytes: size}) }
	}
	return nil
}

func (r *fakeRelay) Control(encode func([]byte) []byte) error {
	f, _, _, err := wire.Next(encode(nil))
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.Type {
	case wire.TypeResult:
		var v wire.Result
		must(v.Parse(f.Body))
		r.results = append(r.results, v)
		if !r.hold {
			r.events <- func() { r.hub.OnResult(&v) }
		}
	case wire.TypeSubscribe, wire.TypeUnsubscribe:
		var g wire.Group
		must(g.Parse(f.Body))
		sign := map[wire.Type]string{wire.TypeSubscribe: "+", wire.TypeUnsubscribe: "-"}[f.Type]
		r.groups = append(r.groups, fmt.Sprintf("%s%s/%d", sign, g.Entity, g.ID))
		if g.Token != 0 && !r.hold {
			r.events <- func() { r.hub.OnResult(&wire.Result{Token: g.Token, Delivered: 1}) }
		}
	case wire.TypePause, wire.TypeResume:
		var p wire.Pause
		must(p.Parse(f.Body))
		if f.Type == wire.TypePause {
			r.pauses = append(r.pauses, fmt.Sprintf("pause %d %d", p.Process, p.Budget))
		} else {
			r.pauses = append(r.pauses, fmt.Sprintf("resume %d", p.Process))
		}
	case wire.TypeSource, wire.TypeSourceGone, wire.TypeMember, wire.TypeNoMember:
		r.kept = append(r.kept, keptText(f))
	case wire.TypeMetric:
		var m wire.Metric
		must(m.Parse(f.Body))
		r.metrics = append(r.metrics, fmt.Sprintf("%s=%d", m.Name, m.Value))
	case wire.TypeMoveReady, wire.TypeMoveAbort:
		r.moves = append(r.moves, f.Type.String())
	case wire.TypePauseSender, wire.TypeResumeSender:
		var p wire.SenderPause
		must(p.Parse(f.Body))
		r.pauses = append(r.pauses, fmt.Sprintf("%s %d", f.Type, p.Budget))
		if !r.hold {
			r.events <- func() { r.hub.OnPauseSender(p, f.Type == wire.TypePauseSender) }
		}
	default:
		panic(fmt.Sprint("control frame of type ", f.Type))
	}
	return nil
}

// keptText is a frame about a client that the manager keeps, as people read it.
func keptText(f wire.Frame) string {
	switch f.Type {
	case wire.TypeSource:
		var s wire.Source
		must(s.Parse(f.Body))
		return fmt.Sprintf("source %d slot %d %s", s.Client.Sequence(), s.Slot, s.State)
	case wire.TypeSourceGone:
		v, err := wire.ParseU64(f.Body)
		must(err)
		return fmt.Sprintf("gone %d", shared.ClientID(v).Sequence())
	}
	var m wire.Member
	must(m.Parse(f.Body))
	sign := map[wire.Type]string{wire.TypeMember: "+", wire.TypeNoMember: "-"}[f.Type]
	return fmt.Sprintf("%s%d %s/%d", sign, m.Client.Sequence(), m.Entity, m.ID)
}

func (r *fakeRelay) Space() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.space == nil {
		r.space = make(chan struct{})
	}
	return r.space
}

func (r *fakeRelay) Flush()               {}
func (r *fakeRelay) Ranges() []wire.Range { return nil }
func (r *fakeRelay) Inherit([]wire.Range) {}
func (r *fakeRelay) Renounce()            {}

// do runs f as the link's reader would.
func (r *fakeRelay) do(f func()) { r.events <- f }

// set changes the relay under its lock.
func (r *fakeRelay) set(f func(*fakeRelay)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r)
}

// read returns what one of its lists holds.
func read[T any](r *fakeRelay, list *[]T) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(*list)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// fixture is a hub with its fake manager.
type fixture struct {
	*Hub
	t     *testing.T
	relay *fakeRelay
	json  *Endpoint // a stream of JSON, one message a line
}

func line(dst, payload []byte) ([]byte, error) { return append(append(dst, payload...), '\n'), nil }

// bubble runs f in a synctest bubble with a hub, and checks at the end that nothing
// is left: no goroutine, no byte, no open token.
func bubble(t *testing.T, change func(*Config), f func(x *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newFixture(t, change)
		f(x)
		synctest.Wait()
		x.close()
	})
}

func newFixture(t *testing.T, change func(*Config)) *fixture {
	r := &fakeRelay{events: make(chan func(), 1<<16), done: make(chan struct{}), credit: true}
	cfg := Config{
		Identity: shared.Identity{ServerID: serverID, ServiceID: serviceID, ProcessID: processID, Generation: 1, Service: "chat"},
		Params: shared.ServiceParams{
			ID: serviceID, Name: "chat", MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON,
			Limits: shared.DefaultLimits(),
		},
		PushBack: time.Second, Window: 1 << 20, Relay: r, Page: share.New(0, 1),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	h := New(cfg)
	r.hub = h
	go r.run()
	x := &fixture{Hub: h, t: t, relay: r}
	x.json = x.endpoint(EndpointConfig{Frame: line})
	return x
}

func (x *fixture) close() {
	x.t.Helper()
	if err := x.Close(context.Background()); err != nil {
		x.t.Error(err)
	}
	close(x.relay.events)
	<-x.relay.done
	if n := x.queued.Load(); n != 0 {
		x.t.Errorf("%d bytes are still counted as queued", n)
	}
	if n := x.items.Load(); n != 0 {
		x.t.Errorf("%d messages are still counted as queued", n)
	}
	if clients, _, _, _, _ := x.page.Counts(); clients != 0 {
		x.t.Errorf("%d clients are still counted", clients)
	}
	if n := x.groups.table.Len(); n != 0 {
		x.t.Errorf("%d groups are left", n)
	}
}

func (x *fixture) endpoint(cfg EndpointConfig) *Endpoint {
	x.t.Helper()
	e, err := x.NewEndpoint(cfg)
	if err != nil {
		x.t.Fatal(err)
	}
	return e
}

// peer is a client and what it got.
type peer struct {
	*Client
	*sink
	t *testing.T
}

func (x *fixture) connect(e *Endpoint) *peer {
	x.t.Helper()
	s := &sink{room: -1, changed: make(chan struct{})}
	c, err := e.Connect("test", s)
	if err != nil {
		x.t.Fatal(err)
	}
	return &peer{c, s, x.t}
}

// waiting returns how many messages and bytes wait to be written.
func (p *peer) waiting() (messages, bytes int) {
	p.Client.mu.Lock()
	defer p.Client.mu.Unlock()
	return p.out.len(), p.out.bytes
}

// send makes the client send messages; ID is replaced by the client's id.
func (p *peer) send(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		if err := p.Receive([]byte(strings.ReplaceAll(m, "SELF", fmt.Sprint(uint64(p.ID()))))); err != nil {
			p.t.Errorf("receive %s: %v", m, err)
		}
	}
	p.Flush()
}

// expect waits until all is quiet and compares what the client got since the last call.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	synctest.Wait()
	got := p.take()
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "SELF", fmt.Sprint(uint64(p.ID())))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		p.t.Errorf("client got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// codes reduces error answers to their codes.
func codes(messages []string) (out []string) {
	for _, m := range messages {
		if _, rest, ok := strings.Cut(m, `"code":"`); ok {
			code, _, _ := strings.Cut(rest, `"`)
			out = append(out, code)
		} else {
			out = append(out, m)
		}
	}
	return out
}
