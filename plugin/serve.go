package plugin

import (
	"context"
	"fmt"

	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/plugin/internal/serve"
)

// Serve runs s as a process of the manager; it is all that a plugin's main does. It
// does not return: the process exits 0 after it was stopped, 78 when Start failed with
// a ConfigError, 1 when it cannot serve, which a sentence on stderr explains, as it
// does when the plugin is started by hand. SIGTERM drains and stops; SIGINT is
// ignored, since the manager decides what Ctrl-C in its terminal means. Source:
// docs/protocol.md "Life of a process".
func Serve(s Service) { serve.Main(adapt(s)) }

// ConfigError marks err as wrong configuration: a Start that returns it is not tried
// again until the params or the binary change. nil stays nil.
func ConfigError(err error) error { return serve.ConfigError(err) }

// adapt gives the internal packages what they need of s: they cannot import this one.
func adapt(s Service) serve.Service {
	t := serve.Service{
		Describe: s.Describe,
		Start: func(ctx context.Context, h *hub.Hub, sockets []serve.Socket) error {
			return s.Start(ctx, newHost(h, sockets))
		},
		Stop: s.Stop,
	}
	if d, ok := s.(Drainer); ok {
		t.Drain = d.Drain
	}
	if r, ok := s.(Handler); ok {
		t.Handler = r.OnReceivedMessage
	}
	if c, ok := s.(HealthChecker); ok {
		t.Health = c.Health
	}
	if r, ok := s.(SlotReader); ok {
		t.AssignSlots = r.AssignSlots
	}
	if m, ok := s.(Handover); ok {
		t.Transport = transport{m}
	}
	return t
}

// host is a hub as a Host.
type host struct {
	*hub.Hub
	sockets []Socket
}

func newHost(h *hub.Hub, sockets []serve.Socket) Host {
	t := host{Hub: h}
	for _, s := range sockets {
		t.sockets = append(t.sockets, Socket(s))
	}
	return t
}

func (h host) Sockets() []Socket { return append([]Socket(nil), h.sockets...) }

func (h host) NewEndpoint(cfg EndpointConfig) (Endpoint, error) {
	e, err := h.Hub.NewEndpoint(hub.EndpointConfig(cfg))
	if err != nil {
		return nil, err
	}
	return endpoint{e}, nil
}

type endpoint struct{ *hub.Endpoint }

// transport is a Handover as the hub uses it.
type transport struct{ Handover }

func (t transport) MoveOut(ctx context.Context, slots uint64, give func(*hub.Client, []byte, int) error) error {
	return t.Handover.MoveOut(ctx, slots, func(c Client, state []byte, fd int) error {
		own, ok := c.(*hub.Client)
		if !ok {
			return fmt.Errorf("hand over a client: %T is not what Connect returned", c)
		}
		return give(own, state, fd)
	})
}

func (t transport) MoveIn(state []byte, fd int, attach func(*hub.Endpoint, string, hub.Writer) (*hub.Client, error)) (resume func(), err error) {
	return t.Handover.MoveIn(state, fd, func(e Endpoint, address string, w Writer) (Client, error) {
		own, ok := e.(endpoint)
		if !ok {
			return nil, fmt.Errorf("take over a client: %T is not what NewEndpoint returned", e)
		}
		c, err := attach(own.Endpoint, address, w)
		if err != nil {
			return nil, err
		}
		return c, nil
	})
}

func (e endpoint) Connect(address string, w Writer) (Client, error) {
	c, err := e.Endpoint.Connect(address, w)
	if err != nil {
		return nil, err
	}
	return c, nil
}
