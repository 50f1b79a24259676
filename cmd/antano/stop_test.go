package main_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const forStop = `
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: other, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: probe, name: probe, processes: 1}
timeouts: {start: 5s, drain: %s, stop: 500ms}
`

const slowCall = `{"entity":"service","entity_id":9,"message":{"do":"wait","ms":%d},"id":1}`

// busy sends the client's slow call and returns once the handler has it: what another
// client of the same process sends later comes later.
func busy(t *testing.T, s *server, c *client, ms int) {
	t.Helper()
	c.send(fmt.Sprintf(slowCall, ms))
	c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	dial(t, "tcp", s.service("tcp").Address).call(`{"entity":"service","entity_id":9,"message":1,"id":1}`)
}

// signal sends sig to the manager.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// gone waits for the end of the manager and of the given processes.
func (s *server) gone(pids []int) {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("antano did not stop within %s", patience)
	}
	for _, pid := range pids {
		if alive(pid) {
			s.t.Errorf("process %d is left", pid)
		}
	}
	if left, err := os.ReadDir(s.runtimeDir()); err == nil && len(left) > 0 {
		s.t.Errorf("the runtime directory still has %v", left)
	}
}

func (s *server) pids() (pids []int) {
	for _, svc := range s.status().Services {
		for _, p := range svc.Processes {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// stuff makes a client that does not read, and sends it more than goes.
func stuff(t *testing.T, s *server) {
	t.Helper()
	deaf, sender := dial(t, "tcp", s.service("other").Address), dial(t, "tcp", s.service("tcp").Address)
	id, payload := deaf.whoami(), strings.Repeat("x", 500_000)
	for range 30 {
		sender.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"%s"}`, id, payload))
	}
	sender.ask(`{"type":"ping"}`).want(t, "type", "pong")
	eventually(t, "messages are dropped", func() bool {
		return s.service("other").Processes[0].Drops["overloaded"]+s.service("tcp").Processes[0].Drops["overloaded"] > 0
	})
}

// TestStopFinishesWhatWasAccepted stops while a handler works: its answers come, the
// connection ends after them, and the stop waits for nothing else.
func TestStopFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(forStop, "10s"), pluginDirs(t, "probe")...)
	pids := s.pids()
	idle, c := dial(t, "tcp", s.service("other").Address), dial(t, "tcp", s.service("tcp").Address)
	idle.ask(`{"type":"ping"}`)
	busy(t, s, c, 700)
	began := time.Now()
	s.signal(syscall.SIGTERM)
	got := map[string]bool{}
	for range 2 {
		got[fmt.Sprint(c.receive()["type"])] = true
	}
	if !got["receipt"] || !got["message"] {
		t.Errorf("got %v", got)
	}
	if n, err := io.Copy(io.Discard, c.r); n > 0 || err != nil {
		t.Errorf("then came %d bytes, %v", n, err)
	}
	s.gone(pids)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("antano ended with %d", code)
	}
}

// TestStopIsBounded stops with output that nobody reads and a process that stands
// still.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(forStop, "500ms"), pluginDirs(t, "probe")...)
	pids := s.pids()
	stuff(t, s)
	freeze(t, s.service("probe").Processes[0].PID)
	began := time.Now()
	s.signal(syscall.SIGTERM)
	s.gone(pids)
	// Drain and its margin twice, Stop, SIGTERM, and some time for a busy machine.
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("antano ended with %d", code)
	}
}

// TestSecondSignalKills cuts a long drain short.
func TestSecondSignalKills(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(forStop, "60s"), pluginDirs(t, "probe")...)
	pids := s.pids()
	c := dial(t, "tcp", s.service("tcp").Address)
	busy(t, s, c, 60_000)
	s.signal(syscall.SIGINT)
	eventually(t, "the server drains", func() bool { return s.status().State == "draining" })
	began := time.Now()
	eventually(t, "a second signal ends it", func() bool { // one that comes too soon counts as the first
		select {
		case <-s.exited:
			return true
		default:
			_ = s.cmd.Process.Signal(syscall.SIGINT)
			return false
		}
	})
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the kill took %s", took)
	}
	s.gone(pids)
}

// TestInterruptOfTheGroup sends what Ctrl-C in a terminal sends: plugins go on until
// the manager has had them drain.
func TestInterruptOfTheGroup(t *testing.T) {
	t.Parallel()
	s := newServer(t, fmt.Sprintf(forStop, "10s"), pluginDirs(t, "probe")...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.start()
	pids := s.pids()
	c := dial(t, "tcp", s.service("tcp").Address)
	busy(t, s, c, 500)
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids { // where a terminal's session has them in one group
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for range 2 {
		got[fmt.Sprint(c.receive()["type"])] = true
	}
	if !got["receipt"] || !got["message"] {
		t.Errorf("got %v", got)
	}
	s.gone(pids)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("antano ended with %d", code)
	}
}

// TestRestartsAreFlat kills one process 40 times under the traffic of others, who
// notice nothing, and looks for what that left in the manager.
func TestRestartsAreFlat(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: victim, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: tcp, name: other, host: 127.0.0.1, port: 0, processes: 1}
restart: {delay: 1ms, max_delay: 2ms, limit: 0, window: 1s, probe: 1s}
`)
	member := dial(t, "tcp", s.service("other").Address)
	member.ask(`{"type":"join","entity":"room","entity_id":1}`).want(t, "type", "joined")
	stop, traffic := make(chan struct{}), sync.WaitGroup{}
	sent := atomic.Int64{}
	traffic.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			member.send(`{"entity":"room","entity_id":1,"message":1,"id":1}`)
			for range 2 {
				if o := member.receive(); o["type"] == "error" {
					t.Errorf("an unaffected client got %v", o)
					return
				}
			}
			sent.Add(1)
		}
	})
	kill := func(times int) {
		for range times {
			p := s.service("victim").Processes[0]
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is back", func() bool {
				q := s.service("victim").Processes[0]
				return q.State == "ready" && q.Generation > p.Generation
			})
		}
	}
	kill(5)
	files, goroutines := s.descriptors(), s.status().Goroutines
	kill(40)
	close(stop)
	traffic.Wait()
	eventually(t, "the manager has no more descriptors than before", func() bool { return s.descriptors() <= files+3 })
	eventually(t, "nor goroutines", func() bool { return s.status().Goroutines <= goroutines+10 })
	if sent.Load() == 0 {
		t.Error("there was no traffic")
	}
	if p := s.service("victim").Processes; p[0].Restarts != 45 || p[0].Generation != 46 || p[1].Generation != 1 {
		t.Errorf("%d restarts, generation %d, the sibling's %d", p[0].Restarts, p[0].Generation, p[1].Generation)
	}
}

func (s *server) descriptors() int {
	s.t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(fds)
}

// TestHangup closes the terminal, as far as the server can tell: it serves on.
func TestHangup(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it reloads", func() bool { return strings.Contains(s.stderr.String(), "nothing changes") })
	dial(t, "tcp", s.service("tcp").Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
}
