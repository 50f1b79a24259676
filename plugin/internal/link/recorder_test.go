package link_test

import (
	"sync"
	"testing"

	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// recorder is a Receiver.
type recorder struct {
	mu       sync.Mutex
	messages []string
	results  []wire.Result
	losses   []loss
	unread   uint64
	dry      chan struct{}
}

// loss is a call of OnLost.
type loss struct {
	planned bool
	waiting []wire.Type
}

func newRecorder() *recorder { return &recorder{dry: make(chan struct{}, 1)} }

func (r *recorder) OnMessage(m *wire.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, string(m.Value))
}

func (r *recorder) OnResult(v *wire.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results = append(r.results, *v)
}

func (r *recorder) OnCredit(wire.Credit)                 {}
func (r *recorder) OnPause(wire.Pause, bool)             {}
func (r *recorder) OnPauseSender(wire.SenderPause, bool) {}
func (r *recorder) OnMoveOut(wire.MoveOut)               {}
func (r *recorder) OnMove(wire.Type, uint64)             {}
func (r *recorder) OnRestore(*wire.Source)               {}
func (r *recorder) OnMember(*wire.Member)                {}

func (r *recorder) OnLost(planned bool, waiting func(func(wire.Frame))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := loss{planned: planned}
	waiting(func(f wire.Frame) { l.waiting = append(l.waiting, f.Type) })
	r.losses = append(r.losses, l)
	r.OnDry()
}

func (r *recorder) OnUnread(messages uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unread += messages
}

func (r *recorder) loss(i int) loss {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.losses[i]
}

func (r *recorder) Replay(dst []byte) []byte {
	return wire.AppendGroup(dst, wire.TypeSubscribe, &wire.Group{ID: 7, Entity: []byte("room")})
}

func (r *recorder) OnDry() {
	select {
	case r.dry <- struct{}{}:
	default:
	}
}

// until waits until enough says so.
func (r *recorder) until(t *testing.T, enough func() bool) {
	t.Helper()
	ctx := withTimeout(t)
	for {
		r.mu.Lock()
		ok := enough()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.dry:
		case <-ctx.Done():
			t.Fatal("it never arrived")
		}
	}
}

func config(m *peer.Manager, path string) link.Config {
	return link.Config{
		Socket: path, QueueBytes: 1 << 20,
		Hello: wire.Hello{Version: shared.ProtocolVersion, Process: 1, Generation: 1, Secret: m.Secret},
	}
}
