package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSuccessorLetsDrain replaces a process in which a call is under way, and then
// upgrades the manager, or kills it: the old generation goes on to drain, and the call is
// answered.
func TestSuccessorLetsDrain(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"upgraded", "killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			file, dirs := filepath.Join(t.TempDir(), "go"), pluginDirs(t, "probe")
			s := start(t, fmt.Sprintf(`
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: probe, name: probe, processes: 1, settings: {file: %q}}
timeouts: {drain: 1m}
`, file), dirs...)
			c := dial(t, "tcp", s.service("tcp").Address)
			c.send(`{"entity":"service","entity_id":9,"message":{"do":"until"}}`)
			c.ask(`{"type":"ping"}`).want(t, "type", "pong")
			old := s.service("probe").Processes[0].PID
			s.must("restart", "probe")
			beside := func(s *server) bool {
				p := s.service("probe").Processes[0]
				return p.State == "ready" && p.Generation == 2 && len(p.Beside) == 1 && p.Beside[0].PID == old && p.Beside[0].State == "draining"
			}
			if !beside(s) {
				t.Fatalf("before: %+v", s.service("probe").Processes)
			}
			if out, _, _ := s.antano("status"); !strings.Contains(out, fmt.Sprintf("probe/2: generation 1, pid %d, is draining beside generation 2, up ", old)) {
				t.Errorf("status says\n%s", out)
			}
			serves := s.service("probe").Processes[0].PID
			if how == "upgraded" {
				s.must("upgrade")
			} else {
				s.kill()
				s = s.successor(dirs...)
				s.start()
			}
			eventually(t, "the old generation drains beside", func() bool { return beside(s) })
			if pid := s.service("probe").Processes[0].PID; pid != serves {
				t.Errorf("process %d serves, it was %d", pid, serves)
			}
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			answer := c.receive().want(t, "type", "message")
			if who := answer["message"].(map[string]any); fmt.Sprint(who["generation"]) != "1" {
				t.Errorf("generation %v answered", who["generation"])
			}
			eventually(t, "the old generation is gone", func() bool {
				return !alive(old) && len(s.service("probe").Processes[0].Beside) == 0
			})
			s.must("restart", "probe")
		})
	}
}

// editState changes what a manager that was killed has noted of its processes.
func (s *server) editState(edit func(process map[string]any)) {
	s.t.Helper()
	file := filepath.Join(s.runtimeDir(), "state.json")
	b, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	var state map[string]any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&state); err != nil {
		s.t.Fatal(err)
	}
	for _, svc := range state["services"].([]any) {
		for _, p := range svc.(map[string]any)["processes"].([]any) {
			edit(p.(map[string]any))
		}
	}
	if b, err = json.Marshal(state); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// TestSuccessorAfterTheCut has the manager go between the cut of a replacement and its note
// of that: what it noted last is that the new generation was ready. The processes know
// better.
func TestSuccessorAfterTheCut(t *testing.T) {
	t.Parallel()
	file, dirs := filepath.Join(t.TempDir(), "go"), pluginDirs(t, "probe")
	s := start(t, fmt.Sprintf(`
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: probe, name: probe, processes: 1, settings: {file: %q}}
timeouts: {drain: 1m}
`, file), dirs...)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.send(`{"entity":"service","entity_id":9,"message":{"do":"until"}}`) // keeps the old generation
	c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	s.must("restart", "probe")
	before := s.service("probe").Processes[0]
	if len(before.Beside) != 1 {
		t.Fatalf("before: %+v", before)
	}
	s.kill()
	s.editState(func(p map[string]any) {
		switch fmt.Sprint(p["pid"]) {
		case fmt.Sprint(before.PID):
			p["ready"], p["beside"] = false, true
		case fmt.Sprint(before.Beside[0].PID):
			p["ready"], p["draining"] = true, false
		}
	})
	next := s.successor(dirs...)
	next.start()
	after := next.service("probe").Processes[0]
	if after.PID != before.PID || after.Generation != 2 || len(after.Beside) != 1 || after.Beside[0].PID != before.Beside[0].PID {
		t.Errorf("after: %+v, before: %+v", after, before)
	}
	if st := next.status(); after.UptimeS <= st.UptimeS {
		t.Errorf("a process that was adopted is up for %v s, its manager for %v s", after.UptimeS, st.UptimeS)
	}
	who := c.ask(`{"entity":"service","entity_id":9,"process_id":2,"message":{"do":"who"}}`)["message"].(map[string]any)
	if fmt.Sprint(who["generation"]) != "2" {
		t.Errorf("generation %v serves", who["generation"])
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if who := c.receive()["message"].(map[string]any); fmt.Sprint(who["generation"]) != "1" {
		t.Errorf("generation %v answered what the first was asked", who["generation"])
	}
}

// TestSuccessorBeforeTheCut has the manager go while a process gets its clients together for
// the next generation, which is ready: they stay where they are.
func TestSuccessorBeforeTheCut(t *testing.T) {
	t.Parallel()
	dirs := pluginDirs(t, "slowmove")
	s := start(t, `
service_type: [{name: slowmove}]
active_service:
  - {id: 1, service_type: slowmove, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
`, dirs...)
	c := dial(t, "tcp", s.service("tcp").Address)
	id := c.whoami()
	go func() { s.antano("restart", "tcp") }()
	eventually(t, "the next generation is ready", func() bool {
		b, err := os.ReadFile(filepath.Join(s.runtimeDir(), "state.json"))
		return err == nil && bytes.Contains(b, []byte(`"beside":true`))
	})
	before := s.service("tcp").Processes[0]
	s.kill()
	next := s.successor(dirs...)
	next.start()
	if p := next.service("tcp").Processes[0]; p.PID != before.PID || p.Generation != 1 || p.State != "ready" || len(p.Beside) != 0 {
		t.Errorf("after: %+v, before: %+v", p, before)
	}
	if now := c.whoami(); now != id {
		t.Errorf("the client is %s, was %s", now, id)
	}
	for _, g := range before.Beside {
		eventually(t, "the other generation ends", func() bool { return !alive(g.PID) })
	}
	next.must("status")
}
