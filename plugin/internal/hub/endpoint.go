package hub

import (
	"errors"
	"fmt"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

// EndpointConfig is plugin.EndpointConfig.
type EndpointConfig struct {
	FormatIn, FormatOut shared.FormatID
	Datagram            bool
	Frame               func(dst, payload []byte) ([]byte, error)
	MaxFrame            int
}

// Endpoint makes clients of one kind.
type Endpoint struct {
	hub *Hub
	cfg EndpointConfig
}

// NewEndpoint declares a kind of client.
func (h *Hub) NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if cfg.FormatIn == 0 {
		cfg.FormatIn = h.cfg.Params.MessageFormatIn
	}
	if cfg.FormatOut == 0 {
		cfg.FormatOut = h.cfg.Params.MessageFormatOut
	}
	for _, f := range []shared.FormatID{cfg.FormatIn, cfg.FormatOut} {
		if !format.Supported(f) {
			return nil, fmt.Errorf("endpoint of service %s: message format %s is not built in; use json, msgpack, text or binary",
				h.cfg.Params.Name, f)
		}
	}
	return &Endpoint{hub: h, cfg: cfg}, nil
}

// answers reports whether clients get receipts and errors.
func (e *Endpoint) answers() bool { return !e.cfg.FormatIn.Bare() && !e.cfg.FormatOut.Bare() }

// frame puts a message into the form that goes over the wire. It is not kept; the
// caller has the reference to what is returned.
func (e *Endpoint) frame(message []byte) (*payload, *shared.Error) {
	p := roomy(len(message) + frameRoom)
	if e.cfg.Frame == nil {
		p.data = append(p.data, message...)
	} else {
		framed, err := e.callFrame(p.data, message)
		if err != nil {
			recycle(p)
			return nil, &shared.Error{Code: codeOf(err), Text: textOf(err)}
		}
		p.data = framed
	}
	if size, most := len(p.data), e.cfg.MaxFrame; most > 0 && size > most {
		recycle(p)
		return nil, shared.Errorf(shared.CodeTooLarge, "the message takes %d bytes and the transport carries %d: send less", size, most)
	}
	return e.hub.charge(p), nil
}

// frameRoom is what a frame has beside its message, where that is known to be little.
const frameRoom = 8

func (e *Endpoint) callFrame(dst, payload []byte) (framed []byte, err error) {
	defer e.hub.Recovered("EndpointConfig.Frame", &err)
	return e.cfg.Frame(dst, payload)
}

// textOf is what a refusal says, without its code.
func textOf(err error) string {
	if e, ok := errors.AsType[*shared.Error](err); ok && e.Text != "" {
		return e.Text
	}
	return err.Error()
}

// codeOf returns the code of a refusal; an error without one is `unsupported`.
func codeOf(err error) shared.Code {
	if e, ok := errors.AsType[*shared.Error](err); ok && e.Code != shared.CodeNone {
		return e.Code
	}
	return shared.CodeUnsupported
}

// Connect registers a client. The error is a *shared.Error: `overloaded` above
// max_clients, `shutting_down` while draining.
func (e *Endpoint) Connect(address string, w Writer) (*Client, error) {
	h := e.hub
	id, ok := h.relay.NextClient()
	c := &Client{hub: h, ep: e, id: id, address: address, w: w, connected: time.Now(), done: make(chan struct{})}
	c.received.Store(c.connected.UnixNano())
	kept, keep := c.appendKept(nil)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.draining || h.left:
		return nil, shared.Errorf(shared.CodeShuttingDown, "the service is shutting down; connect again later")
	case !ok:
		return nil, shared.Errorf(shared.CodeOverloaded, "no client id is free yet; connect again in a moment")
	case !h.page.Enter(h.cfg.Params.Limits.MaxClients):
		return nil, shared.Errorf(shared.CodeOverloaded, "the service has its %d clients (max_clients); connect again later", h.cfg.Params.Limits.MaxClients)
	}
	h.clients[c.id] = c
	if keep {
		h.register(c, kept)
	}
	return c, nil
}
