package main_test

import (
	"bufio"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

const chatParams = `
active_service:
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 4, service_type: websocket, name: websocket, host: 127.0.0.1, port: 0, processes: 1, endpoint: /chat}
`

// lines starts a command and returns what it prints.
func lines(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := new(lockedBuffer)
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	printed, done := make(chan string, 1024), make(chan struct{})
	go func() {
		defer close(done)
		defer close(printed)
		for s := bufio.NewScanner(out); s.Scan(); {
			printed <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		cmd.Wait()
		if t.Failed() {
			t.Logf("standard error of %v:\n%s", cmd.Args, stderr)
		}
	})
	return printed
}

// wantLine waits for a line that contains every part.
func wantLine(t *testing.T, from <-chan string, parts ...string) string {
	t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case line, ok := <-from:
			if !ok {
				t.Fatalf("the command ended without saying %q", parts)
			}
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return line
			}
		case <-timeout:
			t.Fatalf("no line with %q", parts)
		}
	}
}

// TestWebSocketWithPython: a client that we did not write hears a tcp user, is sent away
// when its process is restarted, and comes back.
func TestWebSocketWithPython(t *testing.T) {
	t.Parallel()
	python := pythonWith(t, "websockets")
	s := start(t, chatParams)
	hears := lines(t, exec.Command(python, "testdata/websocket_client.py", "ws://"+s.service("websocket").Address+"/chat"))
	wantLine(t, hears, `"joined"`)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"entity":"room","entity_id":7,"message":"hello","id":1}`).want(t, "type", "receipt")
	wantLine(t, hears, `"message":"hello"`)
	if out, errs, code := s.antano("restart", "websocket"); code != 0 {
		t.Fatalf("restart: %d %s%s", code, out, errs)
	}
	wantLine(t, hears, "closed 1001 shutting_down")
	wantLine(t, hears, `"joined"`)
	c.ask(`{"entity":"room","entity_id":7,"message":"again","id":2}`).want(t, "type", "receipt")
	wantLine(t, hears, `"message":"again"`)
}

// TestWebSocketBalance opens idle connections to a service of four processes.
func TestWebSocketBalance(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 4, service_type: websocket, name: websocket, host: 127.0.0.1, port: 0, processes: 4}
`)
	const n = 200
	for range n {
		c := dial(t, "tcp", s.service("websocket").Address)
		r, err := http.NewRequest("GET", "http://x/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
		} {
			r.Header.Set(key, value)
		}
		if err := r.Write(c.conn); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(c.r, r)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", response, err)
		}
	}
	var each []uint64
	eventually(t, "every connection is a client", func() bool {
		each = nil
		sum := uint64(0)
		for _, p := range s.service("websocket").Processes {
			each, sum = append(each, p.Clients), sum+p.Clients
		}
		return sum == n
	})
	if most := slices.Max(each); most > n/4*5/4 {
		t.Errorf("the clients are spread as %v", each)
	}
}

// TestWebSocketSettings: the schema is held to.
func TestWebSocketSettings(t *testing.T) {
	t.Parallel()
	for settings, valid := range map[string]bool{
		`{allowed_origins: ["https://a.example", "null", "*"], ping_interval: 0}`: true,
		`{allowed_origins: [a.example]}`:                                          false,
		`{ping_interval: -1}`:                                                     false,
		`{allow: true}`:                                                           false,
	} {
		s := newServer(t, strings.Replace(chatParams, "endpoint: /chat", "settings: "+settings, 1))
		if out, errs, code := s.antano("validate", "--params", s.Params); (code == 0) != valid {
			t.Errorf("%s: exit %d: %s%s", settings, code, out, errs)
		}
	}
}
