package main_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/antano/antano/manager"
)

// byID are the processes of a service by their ids.
func (s *server) byID(service string) map[int]manager.ProcessStatus {
	s.t.Helper()
	all := map[int]manager.ProcessStatus{}
	for _, p := range s.service(service).Processes {
		all[p.ProcessID] = p
	}
	return all
}

// command is a command against the server that was not started yet.
func (s *server) command(args ...string) *exec.Cmd {
	return exec.CommandContext(s.t.Context(), filepath.Join(binDir, "antano"), append(args, "--runtime-dir", s.runtimeDir())...)
}

// must runs a command that has to succeed.
func (s *server) must(args ...string) string {
	s.t.Helper()
	out, errs, code := s.antano(args...)
	if code != 0 {
		s.t.Fatalf("antano %v: exit %d\n%s%s", args, code, out, errs)
	}
	return out
}

// fails runs a command that has to end with a code and say something.
func (s *server) fails(code int, says string, args ...string) {
	s.t.Helper()
	out, errs, got := s.antano(args...)
	if got != code || !strings.Contains(errs, says) {
		s.t.Errorf("antano %v: exit %d, want %d and %q\n%s%s", args, got, code, says, out, errs)
	}
}

const twoServices = `
active_service:
  - {id: 2, service_type: tcp, name: chat, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: tcp, name: other, host: 127.0.0.1, port: 0, processes: 1}
`

// TestRestart replaces the processes of one service, one of them alone, and nothing
// else.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	other := dial(t, "tcp", s.service("other").Address)
	other.whoami()
	before, stays := s.byID("chat"), s.byID("other")[3]
	out := s.must("restart", "chat")
	for _, says := range []string{"chat/1: generation 2 serves", "chat/2: generation 2 serves", "restart chat: done"} {
		if !strings.Contains(out, says) {
			t.Errorf("the command does not say %q:\n%s", says, out)
		}
	}
	for id, p := range s.byID("chat") {
		if p.PID == before[id].PID || p.Generation != 2 || p.Restarts != 0 || p.State != "ready" {
			t.Errorf("process %d is %+v", id, p)
		}
		eventually(t, "the old process is gone", func() bool { return !alive(before[id].PID) })
	}
	s.must("restart", "2/1")
	if all := s.byID("chat"); all[1].Generation != 3 || all[2].Generation != 2 {
		t.Errorf("generations %d and %d", all[1].Generation, all[2].Generation)
	}
	if p := s.byID("other")[3]; p.PID != stays.PID || p.Clients != 1 {
		t.Errorf("the other service has changed: %+v", p)
	}
	other.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
	dial(t, "tcp", s.service("chat").Address).whoami()
	s.fails(1, "'antano status' lists", "restart", "nope")
	s.fails(1, "'antano status' lists", "restart", "chat/7")
	s.fails(2, "SERVICE/PROCESS", "restart", "chat/")
	s.fails(2, "exactly one", "stop")
}

// TestStopAndStart has clients refused at once while a service is stopped, and finds it
// at the same address afterwards.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices+`  - {id: 4, service_type: unix, name: path, socket_type: stream, endpoint: RUNTIME/../path.sock, processes: 1}
  - {id: 5, service_type: udp, name: flood, host: 127.0.0.1, port: 0, processes: 2}
`)
	address := s.service("chat").Address
	c := dial(t, "tcp", address)
	c.whoami()
	s.must("stop", "chat/1")
	s.fails(1, "process chat/1 is stopped; start it with 'antano start chat/1'", "restart", "chat/1")
	if svc := s.service("chat"); svc.State != "degraded" || svc.Processes[0].State != "stopped" || svc.Processes[1].State != "ready" {
		t.Errorf("with one process stopped: %+v", svc)
	}
	dial(t, "tcp", address).whoami()
	for _, name := range []string{"chat", "path", "flood"} {
		s.must("stop", name)
		if svc := s.service(name); svc.State != "stopped" || svc.Address == "" {
			t.Errorf("%s is %+v", name, svc)
		}
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a stopped service: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(s.dir, "path.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path of a stopped service: %v", err)
	}
	s.fails(1, "antano start", "restart", "chat")
	if out := s.must("start", "chat"); !strings.Contains(out, "chat/1: is ready in generation 2") {
		t.Errorf("start says\n%s", out)
	}
	s.must("start", "flood")
	s.must("start", "path/4")
	if svc := s.service("chat"); svc.Address != address || svc.State != "ready" {
		t.Errorf("%+v", svc)
	}
	dial(t, "tcp", address).whoami()
	dial(t, "unix", filepath.Join(s.dir, "path.sock")).whoami()
	for range 20 {
		dial(t, "udp", s.service("flood").Address).whoami()
	}
	s.must("start", "chat") // again: nothing to do
	s.must("stop", "chat/1")
	if out := s.must("scale", "chat=1"); !strings.Contains(out, "does not listen") {
		t.Errorf("scale says\n%s", out)
	}
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a service with a stopped process: %v", err)
	}
}

// TestStoppedAddressTaken keeps a service stopped when its address is somebody else's.
func TestStoppedAddressTaken(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices)
	address := s.service("other").Address
	s.must("stop", "other")
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.fails(1, "in use", "start", "other")
	l.Close()
	s.must("start", "other")
}

// TestCanary aborts a rolling restart when the first process does not become ready or
// does not last, with its last words.
func TestCanary(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "how")
	say := func(what string) {
		if err := os.WriteFile(file, []byte(what), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	say("well")
	s := start(t, fmt.Sprintf(`
service_type: [{id: 101, name: fickle}]
active_service:
  - {id: 2, service_type: fickle, name: fickle, processes: 3, settings: {file: %s}}
`, file), pluginDirs(t, "fickle")...)
	before := s.byID("fickle")
	same := func(state string) {
		t.Helper()
		for id, p := range s.byID("fickle") {
			if p.PID != before[id].PID || p.State != "ready" || p.Restarts != 0 {
				t.Errorf("%s: process %d is %+v", state, id, p)
			}
		}
	}
	say("exit")
	s.fails(1, "these are my last words", "restart", "fickle")
	s.fails(1, "nothing was replaced", "restart", "fickle")
	same("exit")
	say("config")
	s.fails(78, "the moon is not full", "restart", "fickle/2")
	same("config")
	say("short")
	s.fails(1, "my life was short", "restart", "fickle")
	s.fails(1, "it did not last 2s: process fickle/", "restart", "fickle")
	say("well")
	eventually(t, "the canary is back", func() bool { return s.service("fickle").State == "ready" })
	for id, p := range s.byID("fickle") {
		if id > 1 && p.PID != before[id].PID {
			t.Errorf("process %d was replaced", id)
		}
	}
	say("exit")
	s.fails(1, "these are my last words", "scale", "fickle=5")
	if n := len(s.byID("fickle")); n != 3 {
		t.Errorf("%d processes", n)
	}
}

// TestScale adds and removes processes: ids stay with the service, and counters and
// generations go on when they are used again.
func TestScale(t *testing.T) {
	t.Parallel()
	s := start(t, twoServices+"  - {id: 5, service_type: udp, name: flood, host: 127.0.0.1, port: 0, processes: 1}\n")
	s.must("scale", "chat=4")
	all := s.byID("chat")
	for _, id := range []int{1, 2, 5, 6} {
		if all[id].State != "ready" || all[id].Generation != 1 {
			t.Errorf("process %d is %+v", id, all[id])
		}
	}
	s.must("scale", "flood=3")
	for range 50 {
		dial(t, "udp", s.service("flood").Address).whoami()
	}
	readers := 0
	for _, p := range s.byID("flood") {
		if p.MessagesIn > 0 {
			readers++
		}
	}
	if readers != 3 {
		t.Errorf("%d of 3 processes read datagrams", readers)
	}
	if err := syscall.Kill(all[2].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "process 2 is back", func() bool { p := s.byID("chat")[2]; return p.State == "ready" && p.Generation == 2 })
	s.must("scale", "chat=1")
	if all := s.byID("chat"); len(all) != 1 || all[1].PID == 0 {
		t.Errorf("scaled down to %+v", all)
	}
	s.must("scale", "flood=1")
	for range 20 {
		dial(t, "udp", s.service("flood").Address).whoami()
	}
	s.must("scale", "chat=3")
	if all := s.byID("chat"); len(all) != 3 || all[2].Generation != 3 || all[2].Restarts != 1 || all[2].LastExit == nil || all[5].Generation != 2 {
		t.Errorf("scaled up again to %+v", all)
	}
	if out := s.must("why", "chat/2"); !strings.Contains(out, "killed by SIGKILL") {
		t.Errorf("after scaling why says\n%s", out)
	}
	if p := s.byID("other")[3]; p.Generation != 1 {
		t.Errorf("the other service has changed: %+v", p)
	}
	dial(t, "tcp", s.service("chat").Address).whoami()
	s.fails(1, "antano stop", "scale", "chat=0")
	s.fails(1, "1 to 1024", "scale", "chat=2000")
	s.fails(2, "SERVICE=N", "scale", "chat")
}
