package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// listener is a client that hears a stream.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
	leave context.CancelFunc
}

func listen(t *testing.T, h *plugintest.Harness, path string) *listener {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+h.Address()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	response, err := new(http.Client).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", response.Status, response.Header)
	}
	l := &listener{t, bufio.NewScanner(response.Body), cancel}
	l.lines.Buffer(nil, 1<<20)
	return l
}

// want reads to the next event, which is of this kind and contains the text.
func (l *listener) want(kind, text string) {
	l.t.Helper()
	for l.lines.Scan() {
		got, ok := strings.CutPrefix(l.lines.Text(), "event: ")
		if !ok {
			continue
		}
		l.lines.Scan()
		data, ok := strings.CutPrefix(l.lines.Text(), "data: ")
		if got != kind || !ok || !strings.Contains(data, text) || !json.Valid([]byte(data)) {
			l.t.Fatalf("got %s %s, want %s with %s", got, l.lines.Text(), kind, text)
		}
		return
	}
	l.t.Fatalf("the stream ended before %s: %v", kind, l.lines.Err())
}

// line reads to a line.
func (l *listener) line(text string) {
	l.t.Helper()
	for l.lines.Scan() {
		if l.lines.Text() == text {
			return
		}
	}
	l.t.Fatalf("the stream ended before %q: %v", text, l.lines.Err())
}

// ended reads to the orderly end.
func (l *listener) ended() {
	l.t.Helper()
	for l.lines.Scan() {
	}
	if err := l.lines.Err(); err != nil {
		l.t.Fatalf("the stream broke off: %v", err)
	}
}

func pollUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestStream hears two groups, from a POST and from a client of another service.
func TestStream(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	l := listen(t, h, "/events?join=room/7&join=a%2Fb%0A/-1")
	l.want("client", `"entity":"client"`)
	l.want("joined", `"entity":"room","entity_id":7`)
	l.want("joined", `"entity":"a/b\n","entity_id":-1`)
	if response, got := request(t, h, "POST", "/", `{"entity":"room","entity_id":7,"message":{"text":`+"\n\r\n"+`"hello\n"}}`); response.StatusCode != 200 {
		t.Errorf("%s %s", response.Status, got)
	}
	l.want("message", `"hello\n"`)
	other := h.Peer()
	other.Send(`{"entity":"a/b\n","entity_id":-1,"message":2,"id":1}`)
	l.want("message", `"message":2`)
	if got := other.Next(); got != `{"type":"receipt","id":1,"delivered":1}` {
		t.Errorf("the peer got %s", got)
	}
	l.leave()
	pollUntil(t, "the client is forgotten", func() bool { return h.Clients() == 0 })
}

// TestSendToAStream: a stream is sent to by its id.
func TestSendToAStream(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	l := listen(t, h, "/events?join=room/7")
	l.lines.Scan() // retry
	l.lines.Scan()
	l.lines.Scan() // event
	l.lines.Scan()
	var me struct {
		ID int64 `json:"entity_id"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(l.lines.Text(), "data: ")), &me); err != nil {
		t.Fatalf("%s: %v", l.lines.Text(), err)
	}
	l.want("joined", "")
	other := h.Peer()
	other.Send(`{"entity":"client","entity_id":%d,"message":"psst"}`, me.ID)
	l.want("message", "psst")
}

func TestKeepAlive(t *testing.T) {
	h := serve(t, shared.ServiceParams{Settings: json.RawMessage(`{"keep_alive":1}`)})
	l := listen(t, h, "/events?join=room/7")
	l.want("client", "")
	l.want("joined", "")
	l.line(": keep-alive")
}

func TestDrainAndStop(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	l := listen(t, h, "/events?join=room/7")
	l.want("client", "")
	l.want("joined", "")
	if n := h.Drain(t.Context()); n != 0 {
		t.Errorf("%d clients were not done", n)
	}
	l.ended()

	h = serve(t, shared.ServiceParams{})
	l = listen(t, h, "/events?join=room/7")
	l.want("client", "")
	l.want("joined", "")
	h.Stop()
	l.ended()
}

// TestSlowReader: what does not fit its queue is dropped, others go on, and a drain ends it.
func TestSlowReader(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{ClientQueueBytes: 300_000}})
	slow, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	slow.(*net.TCPConn).SetReadBuffer(4096) // so that little is under way
	io.WriteString(slow, "GET /events?join=room/7 HTTP/1.1\r\nHost: x\r\n\r\n")
	pollUntil(t, "the slow one is there", func() bool { return h.Clients() == 1 })
	quick, other := listen(t, h, "/events?join=room/7"), h.Peer()
	quick.want("client", "")
	quick.want("joined", "")
	text := strings.Repeat("x", 50_000)
	for h.Drops(shared.CodeOverloaded) == 0 {
		other.Send(`{"entity":"room","entity_id":7,"message":%q}`, text)
		quick.want("message", text)
	}
	if h.Clients() != 2 {
		t.Errorf("%d clients", h.Clients())
	}
}
