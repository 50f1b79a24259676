package main_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const restParams = `
active_service:
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 5, service_type: rest, name: rest, host: 127.0.0.1, port: 0, processes: 2, endpoint: /api}
  - {id: 9, service_type: echo, name: echo, processes: 1, settings: {prefix: "echo: "}}
service_type:
  - {id: 101, name: echo}
`

// curl runs curl and returns the body and the status.
func curl(t *testing.T, args ...string) (body, status string) {
	t.Helper()
	out, err := exec.Command("curl", append([]string{"-s", "--max-time", "20", "-w", "\n%{http_code}"}, args...)...).Output()
	if err != nil {
		t.Fatalf("curl %v: %v", args, err)
	}
	at := strings.LastIndexByte(string(out), '\n')
	return string(out[:at]), string(out[at+1:])
}

// TestRESTWithCurl: a client that we did not write.
func TestRESTWithCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		foreign(t, "the test needs curl")
	}
	s := start(t, restParams)
	url := "http://" + s.service("rest").Address + "/api"
	hears := lines(t, exec.Command("curl", "-sN", url+"/events?join=room/7"))
	wantLine(t, hears, "data:", `"joined"`)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"type":"join","entity":"room","entity_id":7}`).want(t, "type", "joined")

	for _, x := range []struct{ sent, status, answer string }{
		{`{"entity":"room","entity_id":7,"message":"hello"}`, "200", `{"type":"receipt","id":1,"delivered":2}`},
		{`{"entity":"service","entity_id":9,"message":"hello","id":"x"}`, "200", `"in_reply_to":"x","message":"echo: hello"`},
		{`{"entity":"room","entity_id":7,"message":"x","process_id":77}`, "404", `"code":"no_such_process"`},
		{`{"entity":"room","entity_id":8,"message":"x"}`, "404", `"code":"no_such_entity"`},
		{`{"type":"join","entity":"room","entity_id":7}`, "403", `"code":"denied"`},
	} {
		body, status := curl(t, "--json", x.sent, url)
		if status != x.status || !strings.Contains(body, x.answer) || !json.Valid([]byte(body)) {
			t.Errorf("%s: %s %s", x.sent, status, body)
		}
	}
	wantLine(t, hears, "data:", `"message":"hello"`)
	c.receive().want(t, "message", "hello")
	c.ask(`{"entity":"room","entity_id":7,"message":"from tcp"}`)
	wantLine(t, hears, "data:", `"message":"from tcp"`)
	if body, status := curl(t, "-d", `{"type":"ping"}`, url); status != "415" {
		t.Errorf("a form: %s %s", status, body)
	}

	// A restart ends the stream in good order.
	if out, errs, code := s.antano("restart", "rest"); code != 0 {
		t.Fatalf("restart: %d %s%s", code, out, errs)
	}
	for range hears {
	}
	if body, status := curl(t, "--json", `{"type":"ping"}`, url); status != "200" {
		t.Errorf("after the restart: %s %s", status, body)
	}
}
