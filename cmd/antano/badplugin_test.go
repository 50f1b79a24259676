package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/shared"
)

// TestPluginsThatCannotBeUsed has `validate` and `run` look at plugins that fail
// before anything is started: every one is named with its row, and nothing hangs.
func TestPluginsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	kinds := []string{"rubbish", "cookie", "version", "crash", "other", "schema", "panicky"}
	var params strings.Builder
	params.WriteString("active_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0}\nservice_type:\n  - {name: echo}\n")
	for _, k := range kinds {
		fmt.Fprintf(&params, "  - {name: %s}\n", k)
	}
	text := params.String()
	rows := "  - {id: 2, service_type: echo, settings: {prefix: 5}}\n  - {id: 3, service_type: tcp, host: 127.0.0.1, port: 0, settings: {any: 1}}\n"
	for i, k := range kinds {
		rows += fmt.Sprintf("  - {id: %d, service_type: %s}\n", 10+i, k)
	}
	text = strings.Replace(text, "service_type:\n", rows+"service_type:\n", 1)
	file := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := append(pluginDirs(t, kinds...), "--params", file, "--runtime-dir", filepath.Join(t.TempDir(), "r"))
	for _, command := range []string{"validate", "run"} {
		out, errs, code := antano(t, "", append([]string{command}, flags...)...)
		if code != 78 || out != "" {
			t.Errorf("%s: exit %d, want 78\n%s", command, code, out)
		}
		for line, says := range map[int][]string{
			3:  {"settings", "prefix", "string"},
			4:  {"settings", "any"},
			5:  {"rubbish", "Welcome to the rubbish plugin!"},
			6:  {"cookie", "this is a plugin of antano"},
			7:  {"version", "99", "1"},
			8:  {"crash", "no description today"},
			9:  {"other", "someone-else", "antano-service-someone-else"},
			10: {"schema", "unusable"},
			11: {"panicky", "Describe panicked: no words"},
		} {
			at := fmt.Sprintf("bad.yaml:%d: ", line)
			_, rest, found := strings.Cut(errs, at)
			sentence, _, _ := strings.Cut(rest, "\n")
			if !found {
				t.Errorf("%s says nothing about line %d", command, line)
			}
			for _, word := range says {
				if !strings.Contains(sentence, word) {
					t.Errorf("%s says on line %d %q, without %q", command, line, sentence, word)
				}
			}
		}
		if t.Failed() {
			t.Logf("standard error:\n%s", errs)
		}
	}
}

// beside has process 1 for tcp, and 2 and 3 for a service whose process 2 is a
// misfit.
const beside = `
service_type: [{name: %[1]s}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: %[1]s, name: bad, processes: 2, settings: {file: RUNTIME.pid}}
timeouts: {start: 4s, drain: 1s, stop: 1s}
restart: {delay: 10ms, max_delay: 20ms, limit: 3, window: 30s, probe: 1h}
`

// misfit is a server with one process that misbehaves.
type misfit struct {
	*server
	c *client // of tcp
}

func startMisfit(t *testing.T, kind string) misfit {
	t.Helper()
	s := start(t, fmt.Sprintf(beside, kind), pluginDirs(t, kind)...)
	return misfit{s, dial(t, "tcp", s.service("tcp").Address)}
}

// othersServe asks the client's service and the misfit's sibling.
func (m misfit) othersServe() {
	m.t.Helper()
	m.c.ask(`{"type":"ping","id":1}`).want(m.t, "type", "pong")
	_, response := m.c.call(`{"entity":"service","entity_id":9,"process_id":3,"message":"hello","id":2}`)
	response.want(m.t, "message", "hello")
	for _, svc := range m.status().Services {
		if i := len(svc.Processes) - 1; svc.Processes[i].Generation != 1 || svc.Processes[i].State != "ready" {
			m.t.Errorf("%s/%d is %s in generation %d", svc.Name, svc.Processes[i].ProcessID, svc.Processes[i].State, svc.Processes[i].Generation)
		}
	}
}

func (m misfit) logged(what string) {
	m.t.Helper()
	eventually(m.t, "the log says "+what, func() bool { return strings.Contains(m.stderr.String(), what) })
}

// TestNeverStarted gives up on a process that does not answer Start.
func TestNeverStarted(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "never")
	m.othersServe()
	p := m.service("bad").Processes[0]
	if p.State != "failed" || p.Generation != 3 || p.PID != 0 || !strings.Contains(p.LastExit.Cause, "not ready within 4s") {
		t.Errorf("process 2 is %s in generation %d: %+v", p.State, p.Generation, p.LastExit)
	}
	if got := m.service("bad").State; got != "degraded" {
		t.Errorf("the service is %s", got)
	}
	m.c.ask(`{"entity":"service","entity_id":9,"process_id":2,"message":1,"id":3}`).want(t, "type", "error", "code", "no_such_process")
}

// TestExit78IsNotRetried leaves a process alone that says its configuration is
// wrong.
func TestExit78IsNotRetried(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "config")
	m.othersServe()
	p := m.service("bad").Processes[0]
	if p.State != "failed" || p.Generation != 1 || p.LastExit.Code == nil || *p.LastExit.Code != 78 {
		t.Errorf("process 2 is %s in generation %d: %+v", p.State, p.Generation, p.LastExit)
	}
	if !strings.Contains(strings.Join(p.LastExit.Stderr, "\n")+p.LastExit.Cause, "the moon is not full") {
		t.Errorf("the evidence does not say why: %+v", p.LastExit)
	}
	status, _, _ := m.antano("status")
	if !strings.Contains(status, "bad/2: ") {
		t.Errorf("status does not tell the cause:\n%s", status)
	}

	// With no sibling the server ends, with the plugin's code.
	s := newServer(t, strings.Replace(fmt.Sprintf(beside, "config"), "processes: 2", "processes: 1", 1), pluginDirs(t, "config")...)
	if err := s.cmd.Run(); s.cmd.ProcessState.ExitCode() != 78 || !strings.Contains(s.stderr.String(), "the moon is not full") {
		t.Errorf("run ended with %v\n%s", err, s.stderr)
	}
}

// TestLastWords keeps what a process printed just before it exited.
func TestLastWords(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "exit")
	m.othersServe()
	e := m.service("bad").Processes[0].LastExit
	if e == nil || e.Code == nil || *e.Code != 3 || !slices.Contains(e.Stderr, "these are my last words") {
		t.Errorf("the evidence is %+v", e)
	}
}

// TestLogFlood limits a process that prints 50 000 lines, and says so.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "flood")
	m.othersServe()
	m.logged("the plugin prints more than")
	eventually(t, "every line is printed or counted", func() bool {
		log := m.stderr.String()
		n := strings.Count(log, "the same again")
		for _, d := range regexp.MustCompile(`dropped=(\d+)`).FindAllStringSubmatch(log, -1) {
			dropped, _ := strconv.Atoi(d[1])
			n += dropped
		}
		return n+strings.Count(log, "the flood is over") == 50_001
	})
	m.othersServe()
	if n := strings.Count(m.stderr.String(), "the same again"); n > 5000 {
		t.Errorf("%d lines of the flood came through", n)
	}
	if p := m.service("bad").Processes[0]; p.State != "ready" || p.Generation != 1 {
		t.Errorf("the flooding process is %s in generation %d", p.State, p.Generation)
	}
}

// TestNoise prints what breaks a reader of logs.
func TestNoise(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "noisy")
	m.othersServe()
	m.logged("the noise is over")
	m.othersServe()
	log := m.stderr.String()
	if strings.ContainsAny(log, "\x1b\x00") || !strings.Contains(log, "cut_bytes=") {
		t.Error("the log has raw control bytes, or no line was cut")
	}
	for line := range strings.Lines(log) {
		if len(line) > 70<<10 {
			t.Errorf("a line of the log has %d bytes", len(line))
		}
	}
	if p := m.service("bad").Processes[0]; p.State != "ready" || p.Generation != 1 {
		t.Errorf("the noisy process is %s in generation %d", p.State, p.Generation)
	}
}

// TestNonsenseOnTheLink has a proven process speak what is no frame: it is replaced,
// until that is enough.
func TestNonsenseOnTheLink(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "nonsense")
	m.othersServe()
	eventually(t, "process 2 is failed", func() bool { return m.service("bad").Processes[0].State == "failed" })
	m.othersServe()
	p := m.service("bad").Processes[0]
	if p.Generation != 3 || p.LastExit == nil || !strings.Contains(p.LastExit.Cause+strings.Join(p.LastExit.Stderr, " "), "link") {
		t.Errorf("generation %d: %+v", p.Generation, p.LastExit)
	}
}

// TestGrandchild kills a process whose outputs are held open by a child that left
// its group: the death is seen at once, and the slot starts again.
func TestGrandchild(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "grandchild")
	grandchild := func() int {
		b, err := os.ReadFile(m.runtimeDir() + ".pid")
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(b))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		return pid
	}
	first := grandchild()
	p := m.service("bad").Processes[0]
	began := time.Now()
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "process 2 is back", func() bool {
		q := m.service("bad").Processes[0]
		return q.State == "ready" && q.Generation == 2
	})
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a grandchild hid the death for %s", took)
	}
	if !alive(first) {
		t.Error("the grandchild was to outlive its parent in this test")
	}
	if grandchild() == first {
		t.Error("the second generation has no child of its own")
	}
	m.othersServe()
	began = time.Now()
	m.stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("a grandchild held up the stop for %s", took)
	}
}

// TestGossip has a process send 16 000 messages as fast as it can.
func TestGossip(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "gossip")
	m.othersServe()
	m.logged("the gossip is over")
	m.othersServe()
	if p := m.service("bad").Processes[0]; p.State != "ready" || p.Generation != 1 {
		t.Errorf("the gossiping process is %s in generation %d", p.State, p.Generation)
	}
}

// TestForger sends in the name of a client of another process, and pauses it, and says
// that it is a member of a group: nothing comes of it but a count.
func TestForger(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "forger")
	victim := dial(t, "tcp", m.service("tcp").Address)
	id := victim.whoami()
	m.c.send(fmt.Sprintf(`{"entity":"service","entity_id":9,"process_id":2,"message":{"do":"forge","To":{"entity":"client","entity_id":%s}},"id":1}`, id))
	m.c.receive().want(t, "type", "receipt", "delivered", "1")
	eventually(t, "both forgeries are counted", func() bool { return m.service("bad").Processes[0].Drops["denied"] == 2 })
	// A member would get the first of these, and a forgery would be there before.
	m.c.ask(`{"entity":"room","entity_id":7,"message":"to members","id":2}`).want(t, "code", "no_such_entity")
	m.c.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"honest","id":3}`, id)).want(t, "type", "receipt")
	victim.receive().want(t, "message", "honest")
	m.othersServe()
	if p := m.service("bad").Processes[0]; p.State != "ready" || p.Generation != 1 {
		t.Errorf("the forger is %s in generation %d", p.State, p.Generation)
	}
}

// TestLiar describes a handler, clients and a handover, and has none of them: who relies on it is
// told so, and it can be replaced and stopped.
func TestLiar(t *testing.T) {
	t.Parallel()
	params := strings.NewReplacer("settings: {file: RUNTIME.pid}", "host: 127.0.0.1, port: 0").Replace(fmt.Sprintf(beside, "liar"))
	s := start(t, params, pluginDirs(t, "liar")...)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"entity":"service","entity_id":9,"message":1,"id":1}`).want(t, "type", "error", "code", "unsupported")
	c.ask(fmt.Sprintf(`{"entity":"client","entity_id":%d,"message":1,"id":2}`, shared.NewClientID(1, 2, 1))).want(t, "type", "error", "code", "no_such_entity")
	if _, errs, code := s.antano("restart", "bad"); code != 0 {
		t.Errorf("restart: exit %d\n%s", code, errs)
	}
	for _, p := range s.service("bad").Processes {
		if p.State != "ready" || p.Generation != 2 {
			t.Errorf("process %d is %s in generation %d", p.ProcessID, p.State, p.Generation)
		}
	}
	c.ask(`{"type":"ping","id":3}`).want(t, "type", "pong")
}

// TestGreedyPlugin has a plugin flood a process that does not read with more than its
// window: what is beyond is dropped at the flooder's expense, and nobody else waits.
func TestGreedyPlugin(t *testing.T) {
	t.Parallel()
	greedy := filepath.Dir(bend(t, "tcp", "greedy"))
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: greedy, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: unix, name: unix, socket_type: stream, endpoint: RUNTIME/u.sock, processes: 2}
health: {interval: 1m}
`, "--plugin-dir", greedy, "--plugin-dir", filepath.Join(binDir, "plugins"))
	on := map[int]*client{}
	for len(on) < 2 {
		c := dial(t, "unix", filepath.Join(s.runtimeDir(), "u.sock"))
		process, err := strconv.Atoi(fmt.Sprint(c.ask(`{"type":"whoami"}`)["process_id"]))
		if err != nil {
			t.Fatal(err)
		}
		on[process] = c
	}
	p := s.service("unix").Processes
	victim, bystander := on[p[0].ProcessID], on[p[1].ProcessID]
	id := victim.whoami()
	freeze(t, p[0].PID)
	flooder := dial(t, "tcp", s.service("greedy").Address)
	flood := fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"%s"}`, id, strings.Repeat("x", 60_000))
	for range 150 { // 9 MB, of which twice the window is 2
		flooder.send(flood)
	}
	eventually(t, "what is too much is dropped", func() bool { return s.service("greedy").Processes[0].Drops["overloaded"] > 0 })
	for i := range 20 {
		bystander.ask(fmt.Sprintf(`{"type":"ping","id":%d}`, i)).want(t, "type", "pong")
		bystander.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":%d}`, bystander.whoami(), i))
		bystander.receive().want(t, "message", fmt.Sprint(i))
	}
	if err := syscall.Kill(p[0].PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	victim.receive().want(t, "type", "message")
	flooder.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
	for _, svc := range s.status().Services {
		for _, q := range svc.Processes {
			if q.Generation != 1 || q.State != "ready" {
				t.Errorf("%s/%d is %s in generation %d", svc.Name, q.ProcessID, q.State, q.Generation)
			}
		}
	}
}
