package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type fake struct{}

func (fake) Status() any { return map[string]string{"state": "ready"} }

func (fake) Clients(ctx context.Context, service string) (any, error) {
	switch service {
	case "chat room":
		return []int{1, 2}, nil
	case "frozen":
		return nil, context.DeadlineExceeded
	}
	return nil, fmt.Errorf("%w: no service %q", ErrNotFound, service)
}

func (fake) Why(service, process string) (any, error) { return service + "/" + process, nil }

func (fake) Kick(_ context.Context, client string) (any, error) {
	if client != "7" {
		return nil, fmt.Errorf("client %s %w", client, ErrNotFound)
	}
	return 7, nil
}

func (fake) Operate(o Order) (Stream, error) {
	if o.Service == "busy" {
		return nil, fmt.Errorf("%w: 'restart chat' is under way", ErrConflict)
	}
	return &said{order: &o}, nil
}

// said says once what was ordered.
type said struct{ order *Order }

func (s *said) Next(context.Context) ([]any, error) {
	if s.order == nil {
		return nil, nil
	}
	o := *s.order
	s.order = nil
	return []any{o}, nil
}

func (fake) Events(q Query) (Stream, error) { return endless{q}, nil }

func (fake) Logs(q Query) (Stream, error) {
	if q.Service == "nope" {
		return nil, fmt.Errorf("%w: no service", ErrNotFound)
	}
	return &counted{left: 3}, nil
}

// endless says what was asked for as often as somebody reads it.
type endless struct{ q Query }

func (e endless) Next(ctx context.Context) ([]any, error) { return []any{e.q, e.q}, ctx.Err() }

// counted ends.
type counted struct{ left int }

func (c *counted) Next(context.Context) ([]any, error) {
	if c.left == 0 {
		return nil, nil
	}
	c.left--
	return []any{c.left}, nil
}

func listen(t *testing.T) (*net.UnixListener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// TestGet asks a server over its socket.
func TestGet(t *testing.T) {
	l, path := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, fake{}) }()
	c := NewClient(path)
	var status map[string]string
	if err := c.Get(t.Context(), "/v1/status", &status); err != nil || status["state"] != "ready" {
		t.Errorf("status %v, %v", status, err)
	}
	var clients []int
	if err := c.Get(t.Context(), "/v1/services/chat%20room/clients", &clients); err != nil || len(clients) != 2 {
		t.Errorf("clients %v, %v", clients, err)
	}
	for target, says := range map[string]string{
		"/v1/services/none/clients":   `no service "none"`,
		"/v1/services/frozen/clients": "deadline",
		"/v2":                         "docs/control.md",
	} {
		if err := c.Get(t.Context(), target, &clients); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", target, err, says)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := c.Get(t.Context(), "/v1/status", &status); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("without a server: %v", err)
	}
}

// TestQueryKeys refuses what a query cannot say, and names what it can.
func TestQueryKeys(t *testing.T) {
	h := handler(fake{})
	for target, want := range map[string]string{
		"GET /v1/status?x=1":                                `has no key "x" in its query; leave it away`,
		"GET /v1/services/s/clients?process=1":              "leave it away",
		"GET /v1/services/s/why?process=1":                  "",
		"GET /v1/services/s/why?proc=1":                     `no key "proc" in its query; use process`,
		"GET /v1/services/s/why?process=1&process":          `key "process" 2 times`,
		"POST /v1/services/s/restart?process=1":             "",
		"POST /v1/services/s/scale?process=1":               "use processes",
		"POST /v1/services/s/scale?processes=2":             "",
		"POST /v1/reload?dryrun=1":                          "use dry_run",
		"POST /v1/reload?dry_run=1":                         "",
		"POST /v1/upgrade?now":                              "leave it away",
		"POST /v1/clients/7/kick?now":                       "leave it away",
		"GET /v1/logs?service=a&process=1&follow=0&since=4": "",
		"GET /v1/logs?follw=1":                              "use service, process, follow, since",
		"GET /v1/logs?since=%zz":                            "invalid URL escape",
	} {
		method, path, _ := strings.Cut(target, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		code := 200
		if want != "" {
			code = 400
		}
		var p problem
		if w.Code != code || want != "" && (json.Unmarshal(w.Body.Bytes(), &p) != nil || !strings.Contains(p.Error, want)) {
			t.Errorf("%s: %d %s, want %q", target, w.Code, w.Body, want)
		}
	}
}

// TestServerThatDoesNotAnswer bounds the wait for one that takes the connection, as
// the kernel does for a stopped one.
func TestServerThatDoesNotAnswer(t *testing.T) {
	_, path := listen(t)
	c := NewClient(path)
	c.wait = 50 * time.Millisecond
	err := c.Get(t.Context(), "/v1/status", new(any))
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", err)
	}
}

// TestServeEndsWithRequestsOpen does not wait for a client that is slow to ask.
func TestServeEndsWithRequestsOpen(t *testing.T) {
	l, path := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, fake{}) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/status ")); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not end")
	}
}
