package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/manager"
)

// oneTCP makes the ids in docs/message.md come true: service 2, process 1.
const oneTCP = `
active_service:
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`

func blocks(t *testing.T, file, pattern string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + file)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)"+pattern).FindAllStringSubmatch(string(text), -1)
	if len(found) == 0 {
		t.Fatalf("docs/%s has no block %s", file, pattern)
	}
	return found
}

// TestConversations holds the conversations of docs/message.md, each from its start.
func TestConversations(t *testing.T) {
	for _, block := range blocks(t, "message.md", "```conversation\n(.*?)```") {
		s := start(t, oneTCP)
		clients := map[string]*client{}
		for _, name := range []string{"A", "B"} { // in this order they get their ids
			clients[name] = dial(t, "tcp", s.service("tcp").Address)
			clients[name].ask(`{"type":"ping"}`).want(t, "type", "pong")
		}
		for line := range strings.Lines(block[1]) {
			name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			c := clients[name[:1]]
			if name[1:] == ">" {
				c.send(text)
				continue
			}
			if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if got, err := c.r.ReadString('\n'); strings.TrimSpace(got) != text {
				t.Errorf("%s got %s, %v; docs/message.md says %s", name[:1], got, err, text)
			}
		}
	}
}

// TestControlSocket runs the commands of docs/control.md and reads their answers as
// strictly as nobody should: with the fields that are documented and no others.
func TestControlSocket(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the commands need curl; .ci/run installs it")
	}
	s := start(t, oneTCP)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"type":"join","entity":"room","entity_id":7}`).want(t, "type", "joined")
	c.ask(`{"message":1}`).want(t, "code", "no_destination")
	answers := map[string]string{}
	for _, b := range blocks(t, "control.md", "<!-- run: (\\w+) -->\n```sh\n(.*?)```") {
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(b[2], "/run/antano/1", s.runtimeDir())).Output()
		if err != nil {
			t.Fatalf("%s: %v", b[2], err)
		}
		answers[b[1]] = string(out)
	}
	var st manager.Status
	strictly(t, answers["status"], &st)
	if st.State != "ready" || len(st.Services) != 2 || st.Services[0].Processes[0].Drops["no_destination"] != 1 {
		t.Errorf("status is %s", answers["status"])
	}
	var clients []manager.ClientStatus
	strictly(t, answers["clients"], &clients)
	if len(clients) != 1 || clients[0].Groups != 1 || clients[0].MessagesIn != 2 || clients[0].Address != c.conn.LocalAddr().String() {
		t.Errorf("clients are %s", answers["clients"])
	}
	var kicked manager.Kicked
	if strictly(t, answers["kick"], &kicked); kicked.ClientID != clients[0].ID || kicked.Service != "tcp" {
		t.Errorf("the kick is %s", answers["kick"])
	}
	var why []manager.Why
	if strictly(t, answers["why"], &why); len(why) != 1 || why[0].State != "ready" {
		t.Errorf("why is %s", answers["why"])
	}
	for _, verb := range []string{"restart", "scale", "stop", "start", "reload"} {
		var last manager.Progress
		for line := range strings.Lines(answers[verb]) {
			last = manager.Progress{}
			strictly(t, line, &last)
		}
		if !last.Done || !strings.HasPrefix(last.Message, verb) {
			t.Errorf("%s says %s", verb, answers[verb])
		}
	}
	for i, line := range strings.Split(strings.TrimSpace(answers["events"]), "\n") {
		var e manager.Event
		if strictly(t, line, &e); e.Service != "tcp" || i == 0 && e.State != "starting" {
			t.Errorf("an event is %s", line)
		}
	}
	for line := range strings.Lines(answers["logs"]) {
		var l manager.LogLine
		if strictly(t, line, &l); l.Message == "" || l.Source == "" {
			t.Errorf("a line of the log is %s", line)
		}
	}
	if promised := blocks(t, "control.md", "```json\n(\\{\"error\".*?)```")[0][1]; answers["error"] != promised {
		t.Errorf("the error is %s, docs/control.md says %s", answers["error"], promised)
	}
	var example manager.Status
	strictly(t, blocks(t, "control.md", "<!-- example: status -->\n```json\n(.*?)```")[0][1], &example)
	if e := example.Services[0].Processes[0].LastExit; e == nil || e.Signal == nil {
		t.Error("the example shows no exit")
	}
}

// TestREADMEParams validates the params that the README begins with, on ports of the
// kernel's choice.
func TestREADMEParams(t *testing.T) {
	params := freePorts.ReplaceAllString(blocks(t, "../README.md", "```yaml\n(.*?)```")[0][1], "port: 0")
	file := filepath.Join(t.TempDir(), "params.yaml")
	if err := os.WriteFile(file, []byte(params), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := antano(t, "", "validate", "--params", file, "--runtime-dir", "/tmp/antano-readme")
	if code != 0 || !strings.Contains(out, "chat") || !strings.Contains(out, "sensors") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

var freePorts = regexp.MustCompile(`port: \d+`)

// TestPluginREADMEs starts each transport as its README says and asks what its first
// example asks.
func TestPluginREADMEs(t *testing.T) {
	if _, err := exec.LookPath("socat"); err != nil {
		t.Skip("the examples need socat; .ci/run installs it")
	}
	for _, name := range []string{"udp", "tcp", "unix", "websocket", "rest"} {
		t.Run(name, func(t *testing.T) {
			python := "python3"
			if name == "websocket" {
				python = pythonWith(t, "websockets")
			}
			file := "../plugins/" + name + "/README.md"
			params := freePorts.ReplaceAllString(blocks(t, file, "```yaml\n(.*?)```")[0][1], "port: 0")
			s := start(t, strings.ReplaceAll(params, "/run/antano/chat.sock", "RUNTIME/chat.sock"))
			example := blocks(t, file, "```sh\n([^`]*?)```\n\n```json\n(.*?)```")[0]
			address := regexp.MustCompile(`127\.0\.0\.1:\d+|/run/antano/chat.sock`).ReplaceAllString(example[1], s.service(name).Address)
			address = strings.ReplaceAll(address, "python3", python)
			out, err := exec.Command("sh", "-c", address).Output()
			if err != nil || strings.TrimSpace(string(out)) != strings.TrimSpace(example[2]) {
				t.Errorf("%s printed %q, %v; want %s", address, out, err, example[2])
			}
		})
	}
}

func strictly(t *testing.T, text string, into any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Errorf("%v in %s", err, text)
	}
}
