package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/plugin/format"
	"github.com/antano/antano/plugin/plugintest"
	"github.com/antano/antano/shared"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

func serve(t *testing.T, params shared.ServiceParams) *plugintest.Harness {
	t.Helper()
	return plugintest.Start(t, new(service), params)
}

// request sends one and returns the answer and its body.
func request(t *testing.T, h *plugintest.Harness, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.Address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := new(http.Client).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func TestDescription(t *testing.T) {
	d := new(service).Describe()
	if d.ServiceType != "rest" || d.Name != shared.PluginPrefix+d.ServiceType || d.Transport != shared.TransportTCP {
		t.Errorf("describes itself as %+v", d)
	}
	if !d.CanSend || d.Handler || d.Handover || d.Version == "" || len(d.FormatsIn) != 2 || len(d.FormatsOut) != 2 {
		t.Errorf("promises %+v", d)
	}
}

// TestPost holds the table of statuses.
func TestPost(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{MaxMessageBytes: 10_000}})
	other := h.Peer()
	other.Send(`{"type":"join","entity":"room","entity_id":7}`)
	other.Next()
	for _, c := range []struct {
		body   string
		status int
		answer string // a part of it
	}{
		{`{"type":"ping"}`, 200, `{"type":"pong","id":1}`},
		{`{"type":"ping","id":"mine"}`, 200, `{"type":"pong","id":"mine"}`},
		{`{"type":"whoami"}`, 200, `"service_id":2`},
		{` { "entity":"room","entity_id":7,"message":"x"}`, 200, `{"type":"receipt","id":1,"delivered":1}`},
		{`{"entity":"room","entity_id":8,"message":"x","id":5}`, 404, `"id":5,"code":"no_such_entity"`},
		{`{"entity":"service","entity_id":2,"message":"x"}`, 501, `"code":"unsupported"`},
		{`{"message":"x"}`, 400, `"code":"no_destination"`},
		{`{"type":"join","entity":"room","entity_id":7}`, 403, `"code":"denied"`},
		{`{"type":"leave","entity":"room","entity_id":7}`, 403, `"code":"denied"`},
		{`{}`, 400, `"code":"bad_message"`},
		{``, 400, `"code":"bad_message"`},
		{`{"entity":"room",`, 400, `"code":"bad_message"`},
		{`{"type":"ping","filler":"` + strings.Repeat("x", 10_000) + `"}`, 413, `"code":"too_large"`},
		{strings.Repeat("x", 1_000_000), 413, `"code":"too_large"`},
	} {
		response, got := request(t, h, "POST", "/", c.body, "Content-Type", "application/json")
		if response.StatusCode != c.status || !strings.Contains(got, c.answer) || response.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.100s: %s %s", c.body, response.Status, got)
		}
	}
	if got := other.Next(); !strings.Contains(got, `"message":"x"`) {
		t.Errorf("the peer got %s", got)
	}
	if h.Clients() != 0 {
		t.Errorf("%d clients are left", h.Clients())
	}
}

// TestRequests that are wrong as such.
func TestRequests(t *testing.T) {
	params := shared.ServiceParams{Endpoint: "api", Settings: json.RawMessage(`{"allowed_origins":["https://a.example"]}`)}
	h := serve(t, params)
	const ping = `{"type":"ping"}`
	for _, c := range []struct {
		method, path, body string
		header             []string
		status             int
	}{
		{"POST", "/api", ping, nil, 200},
		{"POST", "/api?x=1", ping, []string{"Accept", "text/html, */*;q=0.1", "Content-Type", "application/json; charset=utf-8"}, 200},
		{"POST", "/api", ping, []string{"Origin", "https://a.example"}, 200},
		{"POST", "/api", ping, []string{"Origin", "https://b.example"}, 403},
		{"OPTIONS", "/api", "", []string{"Origin", "https://a.example"}, 204},
		{"OPTIONS", "/api", "", []string{"Origin", "https://b.example"}, 403},
		{"POST", "/", ping, nil, 404},
		{"GET", "/api", "", nil, 405},
		{"DELETE", "/api/events", "", nil, 405},
		{"POST", "/api/events?join=room/7", "", nil, 405},
		{"POST", "/api", ping, []string{"Accept", "text/html, application/json;q=0"}, 406},
		{"POST", "/api", ping, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"GET", "/api/events", "", nil, 400},
		{"GET", "/api/events?join=room", "", nil, 400},
		{"GET", "/api/events?join=room/x", "", nil, 400},
		{"GET", "/api/events?join=/7", "", nil, 400},
		{"GET", "/api/events?join=client/7", "", nil, 403},
		{"GET", "/api/events?join=room/7", "", []string{"Accept", "application/json"}, 406},
	} {
		response, got := request(t, h, c.method, c.path, c.body, c.header...)
		if response.StatusCode != c.status || c.status >= 400 && !strings.Contains(got, `"type":"error"`) {
			t.Errorf("%s %s %v: %s %s", c.method, c.path, c.header, response.Status, got)
		}
		if allowed := response.Header.Get("Access-Control-Allow-Origin"); len(c.header) > 0 && c.header[0] == "Origin" && (allowed == c.header[1]) != (c.status < 400) {
			t.Errorf("%v may read: %q", c.header, allowed)
		}
		if c.status == 405 && response.Header.Get("Allow") == "" {
			t.Errorf("%s %s: nothing is allowed", c.method, c.path)
		}
	}
}

func TestMsgpack(t *testing.T) {
	h := serve(t, shared.ServiceParams{MessageFormatOut: shared.FormatMsgpack})
	convert := func(text string, from, to shared.FormatID) string {
		b, err := format.Convert(nil, []byte(text), from, to)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	pack := func(text string) string { return convert(text, shared.FormatJSON, shared.FormatMsgpack) }
	other := h.Peer()
	other.Send(`{"type":"join","entity":"room","entity_id":7}`)
	other.Next()
	for _, c := range []struct {
		contentType, body, accept, answered, answer string
	}{
		{"application/msgpack", pack(`{"type":"ping"}`), "", "application/msgpack", `{"type":"pong","id":1}`},
		{"application/x-msgpack", pack(`{"type":"ping","id":"x"}`), "application/json", "application/json", `{"type":"pong","id":"x"}`},
		{"application/json", `{"type":"ping"}`, "application/msgpack", "application/msgpack", `{"type":"pong","id":1}`},
		{"application/msgpack", pack(`{"entity":"room","entity_id":7,"message":[1,2]}`), "", "application/msgpack", `{"type":"receipt","id":1,"delivered":1}`},
		{"application/msgpack", `{"type":"ping"}`, "application/json", "application/json", `"code":"bad_message"`},
	} {
		header := []string{"Content-Type", c.contentType}
		if c.accept != "" {
			header = append(header, "Accept", c.accept)
		}
		response, got := request(t, h, "POST", "/", c.body, header...)
		if response.Header.Get("Content-Type") == "application/msgpack" {
			got = convert(got, shared.FormatMsgpack, shared.FormatJSON)
		}
		if response.Header.Get("Content-Type") != c.answered || !strings.Contains(got, c.answer) {
			t.Errorf("%+v: %v %s", c, response.Header, got)
		}
	}
	if got := other.Next(); !strings.Contains(got, `[1,2]`) {
		t.Errorf("the peer got %s", got)
	}
}

// TestMaxClients: a stream takes the only place.
func TestMaxClients(t *testing.T) {
	h := serve(t, shared.ServiceParams{Limits: shared.Limits{MaxClients: 1}})
	listen(t, h, "/events?join=room/7").want("client", "")
	for _, c := range [][2]string{{"POST", "/"}, {"GET", "/events?join=room/7"}} {
		response, got := request(t, h, c[0], c[1], `{"type":"ping"}`)
		if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" || !strings.Contains(got, "overloaded") {
			t.Errorf("%v: %s %s", c, response.Status, got)
		}
	}
}

// TestUnfinishedBody: a peer that leaves in the middle hurts nobody.
func TestUnfinishedBody(t *testing.T) {
	h := serve(t, shared.ServiceParams{})
	c, err := net.Dial("tcp", h.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	c.(*net.TCPConn).CloseWrite()
	c.SetDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestCaller: who answers a POST.
func TestCaller(t *testing.T) {
	const response = `{"type":"message","entity":"client","entity_id":1,"from":{"entity":"service","entity_id":9},"in_reply_to":1,"message":"yes"}`
	const message = `{"type":"message","entity":"client","entity_id":1,"from":{"entity":"client","entity_id":2},"message":"psst"}`
	const receipt = `{"type":"receipt","id":1,"delivered":1}`
	const refused = `{"type":"error","id":1,"code":"timeout","error":"…"}`
	for _, c := range []struct {
		writes  []string
		answer  string
		code    shared.Code
		refused bool
	}{
		{[]string{receipt}, receipt, shared.CodeNone, false},
		{[]string{response, receipt}, response, shared.CodeNone, false},
		{[]string{refused}, refused, shared.CodeTimeout, false},
		{[]string{response, refused}, refused, shared.CodeTimeout, false},
		{[]string{message}, "", shared.CodeNone, true},
		{[]string{receipt, receipt}, receipt, shared.CodeNone, true},
		{nil, "", shared.CodeNone, false},
	} {
		for _, f := range []shared.FormatID{shared.FormatJSON, shared.FormatMsgpack} {
			w := &caller{format: f, answered: make(chan struct{})}
			var err error
			for _, m := range c.writes {
				b, cerr := format.Convert(nil, []byte(m), shared.FormatJSON, f)
				if cerr != nil {
					t.Fatal(cerr)
				}
				_, err = w.Write([][]byte{b}, false)
			}
			if e, _ := errors.AsType[*shared.Error](err); (e != nil && e.Code == shared.CodeUnsupported) != c.refused {
				t.Errorf("%v: %v", c.writes, err)
			}
			w.Close()
			<-w.answered
			answer, code := w.end()
			if f != shared.FormatJSON && answer != nil {
				answer, _ = format.Convert(nil, answer, f, shared.FormatJSON)
			}
			if string(answer) != c.answer || code != c.code {
				t.Errorf("%v: %s, %v", c.writes, answer, code)
			}
		}
	}
}

// FuzzWithID: an id is added and nothing else changed.
func FuzzWithID(f *testing.F) {
	f.Add(true, []byte(`{"type":"ping"}`))
	f.Add(true, []byte(" {\"entity\":\"r\",\"entity_id\":1,\"message\":{\"id\":2}}"))
	f.Add(false, []byte("\x81\xa4type\xa4ping"))
	f.Fuzz(func(t *testing.T, isJSON bool, object []byte) {
		as := shared.FormatMsgpack
		if isJSON {
			as = shared.FormatJSON
		}
		var before, after format.Envelope
		if format.Parse(as, object, &before) != nil || before.ID != nil {
			return
		}
		with, err := withID(as, object)
		if err != nil {
			t.Fatalf("%q: %v", object, err)
		}
		if err := format.Parse(as, with, &after); err != nil {
			t.Fatalf("%q became %q: %v", object, with, err)
		}
		if string(after.ID) != "1" || after.Type != before.Type || after.To() != before.To() || after.ProcessID != before.ProcessID || !bytes.Equal(after.Message, before.Message) {
			t.Fatalf("%q became %q", object, with)
		}
	})
}
