package main_test

import (
	"fmt"
	"os"
	"path/filepath"
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
