package main_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/manager/conformance"
)

const (
	pythonPlugin = "../../examples/python/antano-service-shout"
	// pythonParams has a row of a Go plugin and two processes of the Python one.
	pythonParams = `
service_type: [{id: 102, name: shout}]
active_service:
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 12, service_type: shout, name: shout, host: 127.0.0.1, port: 0, processes: 2}
`
)

// installPython copies the plugin as its README says, so that nothing is written beside the
// source, and returns its path.
func installPython(t *testing.T) string {
	t.Helper()
	// The plugin names its interpreter: Debian's, for which the modules are.
	if out, err := exec.Command("/usr/bin/python3", "-c", "import asyncio, grpc, google.protobuf; asyncio.timeout").CombinedOutput(); err != nil {
		foreign(t, fmt.Sprintf("the plugin needs python3 from 3.11 on, python3-grpcio and python3-protobuf (%v: %s)", err, out))
	}
	plugin := filepath.Join(t.TempDir(), filepath.Base(pythonPlugin))
	text, err := os.ReadFile(pythonPlugin)
	if err == nil {
		err = os.WriteFile(plugin, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	const modules = "antano_service"
	source := filepath.Join(filepath.Dir(pythonPlugin), modules)
	files, err := filepath.Glob(filepath.Join(source, "*.py"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d modules in %s: %v", len(files), source, err)
	}
	if err := os.Mkdir(filepath.Join(filepath.Dir(plugin), modules), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(filepath.Join(filepath.Dir(plugin), modules, filepath.Base(file)), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return plugin
}

func withPlugin(plugin string) []string {
	return []string{"--plugin-dir", filepath.Dir(plugin), "--plugin-dir", filepath.Join(binDir, "plugins")}
}

// TestPythonConforms holds the plugin that was written from docs/protocol.md to it.
func TestPythonConforms(t *testing.T) {
	t.Parallel()
	for _, v := range conform(t, 0, installPython(t)).Points {
		if v.Verdict == conformance.Fail || v.Verdict == conformance.Skip && !strings.Contains(v.Seen, "handover false") {
			t.Errorf("%s: %s: %s", v.ID, v.Verdict, v.Seen)
		}
	}
}

// TestPythonUnits has the plugin's own tests run: what reads bytes, with whatever bytes.
func TestPythonUnits(t *testing.T) {
	t.Parallel()
	plugin := installPython(t)
	tests, err := filepath.Abs(filepath.Join(filepath.Dir(pythonPlugin), "test_antano_service.py"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", tests)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Dir(plugin), "PYTHONSAFEPATH=1") // nothing is written beside the source
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPythonREADME starts the plugin as its README says and runs its first example, whose
// two answers come in either order.
func TestPythonREADME(t *testing.T) {
	t.Parallel()
	plugin := installPython(t)
	if _, err := exec.LookPath("socat"); err != nil {
		foreign(t, "the example needs socat")
	}
	const file = "../examples/python/README.md"
	params := freePorts.ReplaceAllString(blocks(t, file, "```yaml\n(.*?)```")[0][1], "port: 0")
	s := start(t, strings.ReplaceAll(params, "processes: 2", "processes: 1"), withPlugin(plugin)...)
	example := blocks(t, file, "```sh\n([^`]*?)```\n\n```json\n(.*?)```")[0]
	command := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(example[1], s.service("shout").Address)
	out, err := exec.Command("sh", "-c", command).Output()
	got, want := strings.Split(strings.TrimSpace(string(out)), "\n"), strings.Split(strings.TrimSpace(example[2]), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s printed %s, %v; want %s", command, got, err, want)
	}
	softly := dial(t, "tcp", s.service("softly").Address)
	softly.send(`{"entity":"service","entity_id":13,"message":"hello"}`)
	softly.receive().want(t, "message", "HELLO.")
}

// TestPythonBesideGo has clients of a Go plugin and of the Python one talk, directly, in a
// group and with the handler.
func TestPythonBesideGo(t *testing.T) {
	t.Parallel()
	s := start(t, pythonParams, withPlugin(installPython(t))...)
	a, b := dial(t, "tcp", s.service("tcp").Address), dial(t, "tcp", s.service("shout").Address)
	toA, toB := a.whoami(), b.whoami()
	for i := range 50 {
		a.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":{"n": %d},"id":%d}`, toB, i, i)).want(t, "type", "receipt", "id", fmt.Sprint(i), "delivered", "1")
		b.receive().want(t, "message", fmt.Sprintf("map[n:%d]", i), "from", fmt.Sprintf("map[entity:client entity_id:%s]", toA))
		b.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"%d","id":"%d"}`, toA, i, i)).want(t, "type", "receipt", "id", fmt.Sprint(i), "delivered", "1")
		a.receive().want(t, "message", fmt.Sprint(i))
	}
	for _, c := range []*client{a, b} {
		c.ask(`{"type":"join","entity":"room","entity_id":7}`).want(t, "type", "joined")
	}
	b.send(`{"entity":"room","entity_id":7,"message":"to both","id":1}`)
	a.receive().want(t, "message", "to both", "entity", "room")
	first, second := b.receive(), b.receive()
	if first["type"] == "receipt" {
		first, second = second, first
	}
	first.want(t, "message", "to both")
	second.want(t, "type", "receipt", "delivered", "2")
	b.ask(`{"type":"leave","entity":"room","entity_id":7}`).want(t, "type", "left")
	a.send(`{"entity":"service","entity_id":12,"message":"hello"}`)
	a.receive().want(t, "message", "HELLO!")
	a.ask(`{"entity":"client","entity_id":1,"message":1,"id":9}`).want(t, "code", "no_such_entity")
	b.ask(`{"entity":"service","entity_id":2,"message":1,"id":9}`).want(t, "code", "unsupported", "id", "9")
	if out := s.must("restart", "shout"); !strings.Contains(out, "restart shout: done") {
		t.Errorf("restart says %s", out)
	}
	again := dial(t, "tcp", s.service("shout").Address)
	again.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"back","id":1}`, toA)).want(t, "delivered", "1")
	a.receive().want(t, "message", "back")
}

// TestPythonDrainAnswers restarts the plugin while a call of its own client is under way:
// the client gets the response and the receipt.
func TestPythonDrainAnswers(t *testing.T) {
	t.Parallel()
	plugin, gate := installPython(t), filepath.Join(t.TempDir(), "go")
	text, err := os.ReadFile(plugin)
	if err != nil {
		t.Fatal(err)
	}
	waits := fmt.Sprintf(`
    def shout(value):
        import os, time
        open(%[1]q, "w").close()
        while not os.path.exists(%[2]q):
            time.sleep(0.01)
`, gate+".called", gate)
	slow := strings.Replace(string(text), "\n    def shout(value):\n", waits, 1)
	if slow == string(text) {
		t.Fatal("nothing is changed")
	}
	if err := os.WriteFile(plugin, []byte(slow), 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, strings.ReplaceAll(pythonParams, "processes: 2", "processes: 1"), withPlugin(plugin)...)
	c := dial(t, "tcp", s.service("shout").Address)
	exists := func(file string) bool { _, err := os.Stat(file); return err == nil }
	c.send(`{"entity":"service","entity_id":12,"message":"hello","id":1}`)
	eventually(t, "the call is under way", func() bool { return exists(gate + ".called") })
	old, restarted := s.service("shout").Processes[0].PID, make(chan string, 1)
	go func() {
		out, errs, _ := s.antano("restart", "shout")
		restarted <- out + errs
	}()
	defer func() { <-restarted }()
	defer os.WriteFile(gate, nil, 0o600)
	eventually(t, "it drains", func() bool {
		p := s.service("shout").Processes[0]
		for _, b := range p.Beside {
			if b.PID == old && b.State == "draining" {
				return true
			}
		}
		return p.PID == old && p.State == "draining"
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first, second := c.receive(), c.receive()
	if first["type"] == "receipt" {
		first, second = second, first
	}
	first.want(t, "message", "HELLO!", "in_reply_to", "1")
	second.want(t, "type", "receipt", "id", "1", "delivered", "1")
	if line, err := c.r.ReadString('\n'); err == nil {
		t.Errorf("then came %s", line)
	}
}

// TestPythonSurvivesItsManager kills the manager, then has the next one execute itself
// again: the processes of the Python plugin, their clients and groups stay.
func TestPythonSurvivesItsManager(t *testing.T) {
	t.Parallel()
	flags := withPlugin(installPython(t))
	s := start(t, pythonParams, flags...)
	a, b := dial(t, "tcp", s.service("tcp").Address), dial(t, "tcp", s.service("shout").Address)
	toA, toB := a.whoami(), b.whoami()
	b.ask(`{"type":"join","entity":"room","entity_id":7}`).want(t, "type", "joined")
	before := s.pidsOf("shout")
	talk := func() {
		t.Helper()
		a.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":1,"id":1}`, toB)).want(t, "delivered", "1")
		b.receive().want(t, "message", "1")
		b.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":2,"id":2}`, toA)).want(t, "delivered", "1")
		a.receive().want(t, "message", "2")
		a.ask(`{"entity":"room","entity_id":7,"message":3,"id":3}`).want(t, "delivered", "1")
		b.receive().want(t, "message", "3")
	}
	s.kill()
	b.ask(`{"type":"ping"}`).want(t, "type", "pong") // without a manager
	s = s.successor(flags...)
	s.start()
	talk()
	s.must("upgrade")
	talk()
	if after := s.pidsOf("shout"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the processes were %v and are %v", before, after)
	}
}

// TestScriptChangesOnDisk replaces the script of a plugin: it is used once it is asked
// for, and not by a process that is restarted because it was killed.
func TestScriptChangesOnDisk(t *testing.T) {
	t.Parallel()
	plugin := installPython(t)
	s := start(t, strings.ReplaceAll(pythonParams, "processes: 2", "processes: 1"), withPlugin(plugin)...)
	a := dial(t, "tcp", s.service("tcp").Address)
	hears := func(want string) {
		t.Helper()
		a.send(`{"entity":"service","entity_id":12,"message":"hello"}`)
		a.receive().want(t, "message", want)
	}
	hears("HELLO!")
	text, err := os.ReadFile(plugin)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(text, []byte(`"suffix", "!"`), []byte(`"suffix", "?"`), 1)
	if bytes.Equal(changed, text) {
		t.Fatal("nothing is changed")
	}
	if err := os.WriteFile(plugin+".new", changed, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(plugin+".new", plugin); err != nil {
		t.Fatal(err)
	}
	killed := s.service("shout").Processes[0]
	if err := syscall.Kill(killed.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is back", func() bool {
		p := s.service("shout").Processes[0]
		return p.State == "ready" && p.Generation == killed.Generation+1 && p.Restarts == 1
	})
	hears("HELLO!")
	if out := s.must("reload", "--dry-run"); !strings.Contains(out, "changed on disk") {
		t.Errorf("the dry run says %s", out)
	}
	s.must("reload")
	hears("HELLO?")
}
