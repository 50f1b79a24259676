package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/shared"
)

func TestDescription(t *testing.T) {
	d := new(service).Describe()
	if d.ServiceType != "websocket" || d.Name != shared.PluginPrefix+d.ServiceType || d.Transport != shared.TransportTCP {
		t.Errorf("describes itself as %+v", d)
	}
	if !d.CanSend || d.Handler || d.Handover || d.Version == "" || len(d.FormatsIn) != 4 || len(d.FormatsOut) != 4 {
		t.Errorf("promises %+v", d)
	}
}

// TestFormats: a text frame is JSON and a binary one msgpack on every connection; what comes
// back is what the subprotocol says.
func TestFormats(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	packed, err := format.Convert(nil, []byte(ping), shared.FormatJSON, shared.FormatMsgpack)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		protocols []string
		out       shared.FormatID
	}{
		{nil, shared.FormatJSON}, {[]string{protocolJSON}, shared.FormatJSON}, {[]string{protocolMsgpack}, shared.FormatMsgpack},
		{[]string{"other", protocolMsgpack}, shared.FormatMsgpack}, {[]string{"other"}, shared.FormatJSON},
	} {
		p := dial(t, h, c.protocols...)
		for _, sent := range []struct {
			kind    websocket.MessageType
			message string
		}{{websocket.MessageText, ping}, {websocket.MessageBinary, string(packed)}} {
			p.send(sent.kind, sent.message)
			kind, got := p.next()
			if want := string(format.AppendPong(nil, c.out, []byte("1"))); got != want || kind != messageType(c.out) {
				t.Errorf("%v: %v was answered %v %q", c.protocols, sent.kind, kind, got)
			}
		}
		p.send(websocket.MessageBinary, ping)
		if _, got := p.next(); !strings.Contains(got, "bad_message") {
			t.Errorf("%v: JSON in a binary frame was answered %q", c.protocols, got)
		}
	}
}

// TestRoom talks with a client of another service.
func TestRoom(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	p, other := dial(t, h), h.Peer()
	p.send(websocket.MessageText, `{"type":"join","entity":"room","entity_id":7,"id":"j"}`)
	p.want(`{"type":"joined","id":"j","entity":"room","entity_id":7}`)
	other.Send(`{"entity":"room","entity_id":7,"message":{"text": "hello"},"id":1}`)
	if _, got := p.next(); !strings.Contains(got, `"message":{"text": "hello"}`) {
		t.Errorf("got %s", got)
	}
	if got := other.Next(); got != `{"type":"receipt","id":1,"delivered":1}` {
		t.Errorf("the peer got %s", got)
	}
	p.ws.Close(websocket.StatusNormalClosure, "")
	pollUntil(t, "the client is forgotten", func() bool { return h.Clients() == 0 })
}

func TestBareFormats(t *testing.T) {
	h := serve(t, shared.ServiceParams{
		MessageFormatIn: shared.FormatText, MessageFormatOut: shared.FormatBinary, ForwardTo: shared.Address{Entity: "room", ID: 1},
	})
	p, other := dial(t, h, protocolJSON), h.Peer()
	if p.ws.Subprotocol() != "" {
		t.Errorf("a service of bare values speaks %s", p.ws.Subprotocol())
	}
	other.Send(`{"type":"join","entity":"room","entity_id":1}`)
	other.Next()
	p.send(websocket.MessageText, "hällo")
	if got := other.Next(); !strings.Contains(got, `"hällo"`) {
		t.Errorf("the peer got %s", got)
	}
}

// TestTooLarge: the connection lives on behind a message that is too large.
func TestTooLarge(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{MaxMessageBytes: 10_000}})
	p := dial(t, h)
	for range 3 {
		p.send(websocket.MessageText, long(300_000))
		p.error(shared.CodeTooLarge)
		p.send(websocket.MessageText, ping)
		p.want(pong)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w, err := p.ws.Writer(ctx, websocket.MessageText) // one message in many frames
	for i := 0; i < 20 && err == nil; i++ {
		_, err = w.Write([]byte(strings.Repeat("x", 1000)))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	p.error(shared.CodeTooLarge)
	p.send(websocket.MessageText, "") // a keep-alive
	p.send(websocket.MessageText, ping)
	p.want(pong)
	if h.Drops(shared.CodeTooLarge) != 4 {
		t.Errorf("%d drops", h.Drops(shared.CodeTooLarge))
	}
}

// TestRequests that do not become clients.
func TestRequests(t *testing.T) {
	params := withSettings(`{"allowed_origins":["https://a.example","null"]}`)
	params.Endpoint = "chat/"
	h := serve(t, params)
	for _, c := range []struct {
		path, origin string
		status       int
	}{
		{"/chat", "", 101}, {"/chat?x=1", "", 101}, {"/chat", "https://a.example", 101}, {"/chat", "HTTPS://A.example", 101},
		{"/chat", "null", 101}, {"/chat", "http://" + h.Address(), 101},
		{"/", "", 404}, {"/chat/more", "", 404}, {"/chat", "https://b.example", 403}, {"/chat", "https://a.example:444", 403},
		{"/chat", "https://a.example.b.example", 403}, {"/chat", "::", 403},
	} {
		header := http.Header{}
		if c.origin != "" {
			header.Set("Origin", c.origin)
		}
		if _, got := try(t, h, c.path, &websocket.DialOptions{HTTPHeader: header}); got.StatusCode != c.status {
			t.Errorf("%s from %q: %s, want %d", c.path, c.origin, got.Status, c.status)
		}
	}
	response, err := http.Get("http://" + h.Address() + "/chat")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a plain request: %s", response.Status)
	}
	if h.Drops(shared.CodeDenied) != 4 {
		t.Errorf("%d denied", h.Drops(shared.CodeDenied))
	}
}

func TestMaxClients(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{MaxClients: 1}})
	first := dial(t, h)
	first.send(websocket.MessageText, ping)
	first.want(pong)
	second := dial(t, h)
	second.error(shared.CodeOverloaded)
	second.closed(websocket.StatusTryAgainLater)
	first.ws.CloseNow()
	pollUntil(t, "room for another", func() bool { return h.Clients() == 0 })
	third := dial(t, h)
	third.send(websocket.MessageText, ping)
	third.want(pong)
}
