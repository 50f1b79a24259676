package plugintest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/plugin/internal/serve"
	"github.com/antano/antano/shared"
)

// Peer is a JSON client of another service in another process, for the other side of
// a conversation.
type Peer struct {
	h      *Harness
	client plugin.Client
	inbox  *inbox
}

// peers is the other process.
type peers struct {
	process  *serve.Process
	endpoint plugin.Endpoint
}

// Peer connects a new peer.
func (h *Harness) Peer() *Peer {
	h.t.Helper()
	if h.peers == nil {
		h.startPeers()
	}
	in := &inbox{changed: make(chan struct{})}
	c, err := h.peers.endpoint.Connect("peer", in)
	check(h.t, "connect a peer", err)
	return &Peer{h, c, in}
}

func (h *Harness) startPeers() {
	h.t.Helper()
	d := shared.Description{Name: "peers", Version: "1", ServiceType: "peers", Transport: shared.TransportNone}
	p := &peers{}
	s := serve.Service{
		Describe: func() shared.Description { return d },
		Start: func(_ context.Context, core *hub.Hub, _ []serve.Socket) (err error) {
			p.endpoint, err = newHost(core, nil).NewEndpoint(plugin.EndpointConfig{})
			return err
		},
		Stop: func(context.Context) error { return nil },
	}
	params := withDefaults(shared.ServiceParams{ID: peerService}, d)
	p.process = serve.New(s, serve.Inherited{Share: -1, Lifeline: -1}, slog.New(slog.NewTextHandler(h.t.Output(), nil)))
	check(h.t, "start the peers", p.process.Start(h.context(), h.manager.Start(params, peerProcess)))
	h.t.Cleanup(func() {
		if err := p.process.Stop(h.context()); err != nil {
			h.t.Errorf("plugintest: stop the peers: %v", err)
		}
	})
	h.peers = p
}

// ID is the peer's client id.
func (p *Peer) ID() shared.ClientID { return p.client.ID() }

// Send sends one message object, as JSON. It blocks while the destination pushes back.
func (p *Peer) Send(format string, args ...any) {
	p.h.t.Helper()
	check(p.h.t, "send", p.client.Receive(fmt.Appendf(nil, format, args...)))
	p.client.Flush()
}

// Next returns the next message object that the peer gets, and fails the test when
// none comes for 10 s.
func (p *Peer) Next() string {
	p.h.t.Helper()
	m, ok := p.inbox.next(patience)
	if !ok {
		p.h.t.Fatalf("plugintest: peer %d got nothing for %v", uint64(p.ID()), patience)
	}
	return string(m)
}

// Pending returns how many messages the peer has got that Next has not returned.
func (p *Peer) Pending() int {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	return len(p.inbox.messages)
}

// Close disconnects the peer.
func (p *Peer) Close() { p.client.Close(nil) }

// inbox is a plugin.Writer that keeps what it gets.
type inbox struct {
	mu       sync.Mutex
	messages [][]byte
	changed  chan struct{} // closed and replaced with each message
}

// Write keeps copies of the messages.
func (in *inbox) Write(messages [][]byte, wait bool) (n int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range messages {
		in.messages = append(in.messages, bytes.Clone(m))
		n += len(m)
	}
	close(in.changed)
	in.changed = make(chan struct{})
	return n, nil
}

// Close does nothing: there is no connection.
func (in *inbox) Close() error { return nil }

func (in *inbox) next(timeout time.Duration) ([]byte, bool) {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		in.mu.Lock()
		if len(in.messages) > 0 {
			m := in.messages[0]
			in.messages = in.messages[1:]
			in.mu.Unlock()
			return m, true
		}
		changed := in.changed
		in.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			return nil, false
		}
	}
}
