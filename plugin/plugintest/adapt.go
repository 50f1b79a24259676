package plugintest

import (
	"context"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/plugin/internal/serve"
)

// adapt is what plugin.Serve does with a service: the internal packages cannot name
// the interfaces of package plugin, and plugin exports nothing for it.
func (h *Harness) adapt(s plugin.Service) serve.Service {
	t := serve.Service{
		Describe: s.Describe,
		Start: func(ctx context.Context, core *hub.Hub, sockets []serve.Socket) error {
			var host plugin.Host = newHost(core, sockets)
			h.host.Store(&host)
			return s.Start(ctx, host)
		},
		Stop: s.Stop,
	}
	if d, ok := s.(plugin.Drainer); ok {
		t.Drain = d.Drain
	}
	if r, ok := s.(plugin.Handler); ok {
		t.Handler = r.OnReceivedMessage
	}
	if c, ok := s.(plugin.HealthChecker); ok {
		t.Health = c.Health
	}
	if r, ok := s.(plugin.SlotReader); ok {
		t.AssignSlots = r.AssignSlots
	}
	if m, ok := s.(plugin.Handover); ok {
		t.Transport = transport{m}
	}
	return t
}

type host struct {
	*hub.Hub
	sockets []plugin.Socket
}

func newHost(core *hub.Hub, sockets []serve.Socket) host {
	t := host{Hub: core}
	for _, s := range sockets {
		t.sockets = append(t.sockets, plugin.Socket(s))
	}
	return t
}

func (h host) Sockets() []plugin.Socket { return append([]plugin.Socket(nil), h.sockets...) }

func (h host) NewEndpoint(cfg plugin.EndpointConfig) (plugin.Endpoint, error) {
	e, err := h.Hub.NewEndpoint(hub.EndpointConfig(cfg))
	if err != nil {
		return nil, err
	}
	return endpoint{e}, nil
}

// transport is a Handover as the hub uses it.
type transport struct{ plugin.Handover }

func (t transport) MoveOut(ctx context.Context, slots uint64, give func(*hub.Client, []byte, int) error) error {
	return t.Handover.MoveOut(ctx, slots, func(c plugin.Client, state []byte, fd int) error {
		return give(c.(*hub.Client), state, fd)
	})
}

func (t transport) MoveIn(state []byte, fd int, attach func(*hub.Endpoint, string, hub.Writer) (*hub.Client, error)) (resume func(), err error) {
	return t.Handover.MoveIn(state, fd, func(e plugin.Endpoint, address string, w plugin.Writer) (plugin.Client, error) {
		c, err := attach(e.(endpoint).Endpoint, address, w)
		if err != nil {
			return nil, err
		}
		return c, nil
	})
}

type endpoint struct{ *hub.Endpoint }

func (e endpoint) Connect(address string, w plugin.Writer) (plugin.Client, error) {
	c, err := e.Endpoint.Connect(address, w)
	if err != nil {
		return nil, err
	}
	return c, nil
}
