package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/antano/antano/plugin"
	"github.com/antano/antano/plugin/web"
	"github.com/antano/antano/shared"
)

// service is a plugin.Service and a plugin.Drainer.
type service struct {
	// Set by Start.
	host     plugin.Host
	params   shared.ServiceParams
	settings settings
	path     string // of messages
	events   string // of streams
	callers  map[shared.FormatID]plugin.Endpoint
	streams  plugin.Endpoint
	intake   *web.Intake
	server   *web.Server
}

func (s *service) Describe() shared.Description {
	formats := shared.Formats{shared.FormatJSON, shared.FormatMsgpack}
	return shared.Description{
		Name: shared.PluginPrefix + "rest", Version: version, ServiceType: "rest", Transport: shared.TransportTCP,
		CanSend:   true, // to streams; a caller is `unsupported`
		FormatsIn: formats, FormatsOut: formats, Settings: json.RawMessage(schema),
	}
}

func (s *service) Start(_ context.Context, host plugin.Host) (err error) {
	s.host, s.params = host, host.Params()
	if s.settings, err = settingsOf(host); err != nil {
		return err
	}
	s.path = web.Path(s.params.Endpoint)
	s.events = strings.TrimSuffix(s.path, "/") + "/events"
	s.intake = web.NewIntake(s.params.Limits)
	s.callers = make(map[shared.FormatID]plugin.Endpoint)
	for _, out := range []shared.FormatID{shared.FormatJSON, shared.FormatMsgpack} {
		if s.callers[out], err = host.NewEndpoint(plugin.EndpointConfig{FormatIn: out, FormatOut: out}); err != nil {
			return fmt.Errorf("declare the callers of service %d: %w", s.params.ID, err)
		}
	}
	s.streams, err = host.NewEndpoint(plugin.EndpointConfig{FormatIn: shared.FormatJSON, FormatOut: shared.FormatJSON, Frame: appendEvent})
	if err != nil {
		return fmt.Errorf("declare the streams of service %d: %w", s.params.ID, err)
	}
	s.server, err = web.Serve(host, s)
	return err
}

// Drain takes no new request any more; the host ends the streams.
func (s *service) Drain(context.Context) error {
	s.server.Drain()
	return nil
}

func (s *service) Stop(ctx context.Context) error { return s.server.Stop(ctx) }

// ServeHTTP serves one request.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.admit(w, r) {
		return
	}
	method, serve := "", (func(http.ResponseWriter, *http.Request))(nil)
	switch r.URL.Path {
	case s.path:
		method, serve = http.MethodPost, s.post
	case s.events:
		method, serve = http.MethodGet, s.stream
	default:
		fail(w, http.StatusNotFound, shared.FormatJSON, shared.Errorf(shared.CodeNoSuchEntity,
			"nothing is at %s: POST messages to %s, or GET %s", r.URL.Path, s.path, s.events))
		return
	}
	switch r.Method {
	case method:
		serve(w, r)
	case http.MethodOptions:
		w.Header().Set("Allow", method+", OPTIONS")
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", method+", OPTIONS")
		fail(w, http.StatusMethodNotAllowed, shared.FormatJSON, shared.Errorf(shared.CodeUnsupported, "%s takes %s, not %s", r.URL.Path, method, r.Method))
	}
}

// admit answers a page of an origin that is not allowed, and tells a browser that the
// others are. Source: the Fetch standard, CORS.
func (s *service) admit(w http.ResponseWriter, r *http.Request) bool {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Cache-Control", "no-store")
	if !s.settings.origins.Allow(r) {
		s.host.CountDrop(shared.CodeDenied, 1)
		fail(w, http.StatusForbidden, shared.FormatJSON, shared.Errorf(shared.CodeDenied, "pages of this origin may not send: add it to settings.allowed_origins"))
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Accept, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
	return true
}
