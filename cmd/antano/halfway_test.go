package main_test

import (
	"bufio"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// abandon runs a command and kills it after its first line.
func (s *server) abandon(args ...string) {
	s.t.Helper()
	cmd := s.command(args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		s.t.Errorf("antano %v says nothing: %v", args, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		s.t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		s.t.Errorf("antano %v had ended", args)
	}
}

// TestCommandIsKilled kills commands half-way: the server goes on with what was asked.
func TestCommandIsKilled(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	all := func(generation, processes int) func() bool {
		return func() bool {
			chat := s.service("chat").Processes
			for _, p := range chat {
				if p.Generation != generation || p.State != "ready" || len(p.Beside) != 0 {
					return false
				}
			}
			return len(chat) == processes
		}
	}
	s.abandon("restart", "chat")
	eventually(t, "every process is replaced", all(2, 2))
	idle := func() bool { _, _, code := s.antano("reload", "--dry-run"); return code == 0 }
	eventually(t, "the restart is over", idle)
	s.abandon("scale", "chat=4")
	eventually(t, "there are four processes", func() bool { return len(s.service("chat").Processes) == 4 && s.service("chat").State == "ready" })
	eventually(t, "the scaling is over", idle)
	port := freePort(t)
	s.rewrite(strings.Replace(twoServices, "name: other, host: 127.0.0.1, port: 0", fmt.Sprintf("name: other, host: 127.0.0.1, port: %d", port), 1))
	s.abandon("reload")
	eventually(t, "the other service has moved", func() bool {
		return s.service("other").Address == fmt.Sprint("127.0.0.1:", port) && s.service("other").State == "ready"
	})
}

// TestStopOfAFrozenProcess stops a process that answers nothing.
func TestStopOfAFrozenProcess(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices+"timeouts: {drain: 100ms, stop: 200ms}\n")
	pid := s.service("other").Processes[0].PID
	freeze(t, pid)
	s.must("stop", "other")
	if svc := s.service("other"); svc.State != "stopped" || alive(pid) {
		t.Errorf("pid %d lives: %v; %+v", pid, alive(pid), svc)
	}
	s.must("start", "other")
	dial(t, "tcp", s.service("other").Address).whoami()
}

// TestRestartOfAFrozenProcess gives up on a process that hands nothing over, and says where
// to look.
func TestRestartOfAFrozenProcess(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	before := s.byID("chat")[1]
	freeze(t, before.PID)
	s.fails(1, "'antano why chat/1' shows whether it hangs", "restart", "chat/1")
	if err := syscall.Kill(before.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is as before", func() bool {
		p := s.byID("chat")[1]
		return p.PID == before.PID && p.State == "ready" && len(p.Beside) == 0
	})
}

// TestOldProcessDiesWhileTheNewSettles kills what was replaced before the new one has
// lasted: that is nothing to the restart.
func TestOldProcessDiesWhileTheNewSettles(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(`
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: probe, name: probe, processes: 1, settings: {file: %q}}
timeouts: {drain: 1m}
`, filepath.Join(t.TempDir(), "never")), pluginDirs(t, "probe")...)
	c := dial(t, "tcp", s.service("tcp").Address)
	c.send(`{"entity":"service","entity_id":9,"message":{"do":"until"}}`) // keeps the old generation
	c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	old := s.service("probe").Processes[0].PID
	ended := make(chan int, 1)
	go func() { _, _, code := s.antano("restart", "probe"); ended <- code }()
	eventually(t, "the old one drains", func() bool {
		p := s.service("probe").Processes[0]
		return p.Generation == 2 && len(p.Beside) == 1 && p.Beside[0].State == "draining"
	})
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != 0 {
		t.Errorf("the restart ended with %d", code)
	}
	if p := s.service("probe").Processes[0]; p.Generation != 2 || p.Restarts != 0 || p.State != "ready" || len(p.Beside) != 0 {
		t.Errorf("the process is %+v", p)
	}
	c.ask(`{"entity":"service","entity_id":9,"message":"on"}`).want(t, "message", "on")
}

// TestDescribeHangs names the plugin that does not say what it is, how long that took and
// what to do.
func TestDescribeHangs(t *testing.T) {
	t.Parallel()
	_, errs, code := antano(t, "", append(pluginDirs(t, "mute"), "plugin", "describe", "mute")...)
	for _, says := range []string{"antano-service-mute", "within 10s", "mend the plugin"} {
		if code != 78 || !strings.Contains(errs, says) {
			t.Errorf("exit %d, without %q: %s", code, says, errs)
		}
	}
}
