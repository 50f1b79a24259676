package hub

import (
	"context"
	"testing"
	"time"

	"github.com/antano/antano/plugin/internal/transfer"
	"github.com/antano/antano/shared/wire"
)

func TestVerdict(t *testing.T) {
	v := newVerdict()
	if !v.claim() || v.claim() {
		t.Error("not exactly one may decide")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	v.abort()
	go func() { v.cut <- true }() // whoever claimed it is about to say so
	if !v.await(ended) {
		t.Error("a claimed cut was taken back")
	}
	v = newVerdict()
	if v.await(ended) || v.claim() {
		t.Error("the end of the context did not decide")
	}
}

// A cut that comes for a move which was given up here takes no client away.
func TestCutAfterAbort(t *testing.T) {
	w := newWorld(t, nil)
	a := w.start(1, 1)
	c := a.connect()
	out := newOutgoing(a.Hub, wire.MoveOut{Move: 1, Scope: wire.ScopeAll})
	out.ready, out.given = true, a.snapshot()
	out.abort()
	out.cut()
	in := newIncoming(a.Hub, 2)
	in.ready, in.scope = true, wire.ScopeAll
	in.abort()
	in.cut()
	if a.jobs.heldBack(source{}) != nil {
		t.Error("calls of the handler are held for a move that was given up")
	}
	c.say(`{"type":"ping","id":1}`)
	if c.until(t, 1); a.client(c.id) == nil {
		t.Error("the client is gone")
	}
	if len(a.relay.Ranges()) == 0 {
		t.Error("the ids are another process's")
	}
}

// A process that is ready waits for the manager's decision, however late: whatever it did by
// itself could contradict it.
func TestReadyWaits(t *testing.T) {
	near, _ := ends(t)
	w := newWorld(t, func(cfg *Config) {
		cfg.Dial = func(context.Context, uint64) (*transfer.Conn, error) { return near, nil }
	})
	out := newOutgoing(w.start(1, 1).Hub, wire.MoveOut{Move: 1, Scope: wire.ScopeAll})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan bool)
	go func() {
		cut, err := out.handOver(ctx)
		over <- cut && err == nil
	}()
	pollReady(t, out)
	cancel()
	out.cut()
	if !<-over {
		t.Error("the cut did not count")
	}
}

func pollReady(t *testing.T, m *outgoing) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		m.mu.Lock()
		ready := m.ready
		m.mu.Unlock()
		if ready {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the move is never ready")
		}
	}
}
