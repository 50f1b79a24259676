package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/web"
	"github.com/antano/antano/shared"
)

// The subprotocols by which a client chooses what it gets.
const (
	protocolJSON    = "antano.json"
	protocolMsgpack = "antano.msgpack"
)

// service is a plugin.Service and a plugin.Drainer.
type service struct {
	// Set by Start.
	host      plugin.Host
	params    shared.ServiceParams
	settings  settings
	path      string
	protocols []string
	kinds     map[string]kind // of clients, by subprotocol; "" is that of the params
	intake    *web.Intake
	server    *web.Server

	draining  atomic.Bool
	lingering atomic.Int64 // connections that were refused and have not closed yet
}

// kind is what clients of one subprotocol speak.
type kind struct {
	in, out  shared.FormatID
	endpoint plugin.Endpoint
}

func (s *service) Describe() shared.Description {
	formats := shared.Formats{shared.FormatJSON, shared.FormatMsgpack, shared.FormatText, shared.FormatBinary}
	return shared.Description{
		Name: shared.PluginPrefix + "websocket", Version: version, ServiceType: "websocket", Transport: shared.TransportTCP,
		CanSend: true, FormatsIn: formats, FormatsOut: formats, Settings: json.RawMessage(schema),
	}
}

func (s *service) Start(_ context.Context, host plugin.Host) (err error) {
	s.host, s.params = host, host.Params()
	if s.settings, err = settingsOf(host); err != nil {
		return err
	}
	s.path = web.Path(s.params.Endpoint)
	s.intake = web.NewIntake(s.params.Limits)
	s.kinds = map[string]kind{"": {in: s.params.MessageFormatIn, out: s.params.MessageFormatOut}}
	if !s.params.MessageFormatIn.Bare() && !s.params.MessageFormatOut.Bare() {
		s.protocols = []string{protocolJSON, protocolMsgpack}
		s.kinds[protocolJSON] = kind{in: shared.FormatJSON, out: shared.FormatJSON}
		s.kinds[protocolMsgpack] = kind{in: shared.FormatMsgpack, out: shared.FormatMsgpack}
	}
	for protocol, k := range s.kinds {
		if k.endpoint, err = host.NewEndpoint(plugin.EndpointConfig{FormatIn: k.in, FormatOut: k.out}); err != nil {
			return fmt.Errorf("declare the clients of service %d: %w", s.params.ID, err)
		}
		s.kinds[protocol] = k
	}
	s.server, err = web.Serve(host, s)
	return err
}

// Drain takes no new connection any more; the host ends those there are.
func (s *service) Drain(context.Context) error {
	s.draining.Store(true)
	s.server.Drain()
	return nil
}

func (s *service) Stop(ctx context.Context) error {
	s.draining.Store(true)
	return s.server.Stop(ctx)
}

// ServeHTTP serves one connection, from the request that opens it to its end.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != s.path:
		http.Error(w, fmt.Sprintf("nothing is at %s: connect to %s", r.URL.Path, s.path), http.StatusNotFound)
		return
	case !s.settings.origins.Allow(r):
		s.host.CountDrop(shared.CodeDenied, 1)
		http.Error(w, "pages of this origin may not connect: add it to settings.allowed_origins", http.StatusForbidden)
		return
	}
	c, err := s.upgrade(w, r)
	if err != nil {
		s.host.Logger().Debug("no WebSocket", "peer", r.RemoteAddr, "err", err)
		return
	}
	defer c.ws.CloseNow()
	client, err := s.kinds[c.ws.Subprotocol()].endpoint.Connect(r.RemoteAddr, c)
	if err != nil {
		c.refuse(err)
		return
	}
	c.client = client
	c.serve(r.Context())
}

// upgrade makes a WebSocket of the connection, or has answered why not.
func (s *service) upgrade(w http.ResponseWriter, r *http.Request) (*connection, error) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       s.protocols,
		InsecureSkipVerify: true, // of the origin, which was verified
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1) // Intake bounds what is read
	k := s.kinds[ws.Subprotocol()]
	c := &connection{service: s, ws: ws, conn: web.Conn(r), in: k.in, out: k.out}
	return c, nil
}
