package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

func serve(t *testing.T, params shared.ServiceParams) *plugintest.Harness {
	t.Helper()
	return plugintest.Start(t, new(service), params)
}

// peer is the other end of a connection.
type peer struct {
	t  *testing.T
	ws *websocket.Conn
}

func dial(t *testing.T, h *plugintest.Harness, protocols ...string) *peer {
	t.Helper()
	p, response := try(t, h, "/", &websocket.DialOptions{Subprotocols: protocols})
	if p == nil {
		t.Fatalf("no connection: %s", response.Status)
	}
	return p
}

func try(t *testing.T, h *plugintest.Harness, path string, options *websocket.DialOptions) (*peer, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, "ws://"+h.Address()+path, options)
	if response == nil {
		t.Fatal(err)
	}
	if err != nil {
		return nil, response
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &peer{t, ws}, response
}

func (p *peer) send(kind websocket.MessageType, message string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.ws.Write(ctx, kind, []byte(message)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) next() (websocket.MessageType, string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	kind, message, err := p.ws.Read(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return kind, string(message)
}

// want reads the next message, which is a text.
func (p *peer) want(message string) {
	p.t.Helper()
	if kind, got := p.next(); got != message || kind != websocket.MessageText {
		p.t.Fatalf("got %v %s, want text %s", kind, got, message)
	}
}

// error reads the next message, which is an error with this code.
func (p *peer) error(code shared.Code) {
	p.t.Helper()
	_, got := p.next()
	var o struct{ Type, Code, Error string }
	if err := json.Unmarshal([]byte(got), &o); err != nil || o.Type != "error" || o.Code != code.String() || o.Error == "" {
		p.t.Fatalf("got %s, want the error %s", got, code)
	}
}

// closed reads to the end of the connection.
func (p *peer) closed(code websocket.StatusCode) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		if _, _, err := p.ws.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				p.t.Fatalf("closed with %v, want %v", err, code)
			}
			return
		}
	}
}

// pollUntil waits for what nobody announces.
func pollUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

const ping = `{"type":"ping","id":1}`
const pong = `{"type":"pong","id":1}`

func withSettings(text string) shared.ServiceParams {
	return shared.ServiceParams{Settings: json.RawMessage(text)}
}

func long(n int) string { return `{"type":"ping","filler":"` + strings.Repeat("x", n) + `"}` }
