package main_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/internal/testserver"
)

const lossServices = `
active_service:
  - {id: 1, service_type: udp, name: u, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: tcp, name: t, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: unix, name: x, socket_type: stream, endpoint: RUNTIME/x.sock, processes: 1}
`

// pidsByID are those of all plugin processes of the server, by process id.
func (s *server) pidsByID() map[int]int {
	s.t.Helper()
	all := make(map[int]int)
	for _, svc := range s.status().Services {
		for _, p := range svc.Processes {
			all[p.ProcessID] = p.PID
		}
	}
	return all
}

// kill ends the manager alone, without a word.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.exited
}

func (s *server) successor(flags ...string) *server { return wrap(s.t, s.Successor(flags...)) }

// TestSuccessorAdopts kills the manager: the processes, their clients and groups are the
// same under the next one, messages sent in between arrive, what was counted goes on.
func TestSuccessorAdopts(t *testing.T) {
	t.Parallel()
	s := start(t, lossServices)
	if err := syscall.Kill(s.service("t").Processes[1].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a process is back", func() bool { p := s.service("t").Processes[1]; return p.State == "ready" && p.Restarts == 1 })
	before, tcp := s.pidsByID(), s.service("t")
	a, b := dial(t, "tcp", tcp.Address), dial(t, "tcp", tcp.Address)
	x := dial(t, "unix", filepath.Join(s.runtimeDir(), "x.sock"))
	u := sourceOf(t, "udp", s.service("u").Address)
	toB := b.whoami()
	for _, c := range []*client{a, b, x} {
		c.ask(`{"type":"join","entity":"room","entity_id":7,"id":1}`).want(t, "type", "joined")
	}
	s.kill()
	a.send(`{"entity":"client","entity_id":` + toB + `,"message":"meanwhile","id":2}`)
	a.ask(`{"type":"ping"}`).want(t, "type", "pong")
	next := s.successor()
	began := time.Now()
	next.start()
	b.receive().want(t, "message", "meanwhile")
	t.Logf("a held message came %s after the successor's start", time.Since(began))
	a.receive().want(t, "type", "receipt", "delivered", "1")
	if after := next.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
	for _, c := range []*client{a, b, x} {
		c.send(`{"entity":"room","entity_id":7,"message":"all"}`)
		for _, m := range []*client{a, b, x} {
			m.receive().want(t, "message", "all")
		}
	}
	if id, _ := u.who(); id != u.id {
		t.Errorf("the datagram client is %s, was %s", id, u.id)
	}
	if got := next.service("t").Processes; got[0].Clients+got[1].Clients != 2 || got[1].Restarts != 1 || next.service("t").Address != tcp.Address {
		t.Errorf("status %+v", next.service("t"))
	}
	fresh := dial(t, "tcp", tcp.Address)
	if id := fresh.whoami(); id == toB || id == a.whoami() {
		t.Errorf("the id %s was given twice", id)
	}
	pid := next.service("t").Processes[0].PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an adopted process is replaced", func() bool {
		p := next.service("t").Processes[0]
		return p.State == "ready" && p.PID != pid && p.Generation == 2 && p.LastExit != nil && strings.Contains(p.LastExit.Cause, "exit status unknown")
	})
	next.stop()
	if _, err := os.Stat(s.runtimeDir()); !os.IsNotExist(err) {
		t.Errorf("the runtime directory is left: %v", err)
	}
	for _, pid := range before {
		if alive(pid) {
			t.Errorf("pid %d is left", pid)
		}
	}
}

// TestNoSuccessor lets the window pass, which a reload has changed: everything ends by
// itself.
func TestNoSuccessor(t *testing.T) {
	t.Parallel()
	s := start(t, lossServices+"adoption_window: 1h\n")
	s.rewrite(lossServices + "adoption_window: 300ms\n")
	s.must("reload")
	pids := s.pidsByID()
	c := dial(t, "tcp", s.service("t").Address)
	c.whoami()
	s.kill()
	c.ask(`{"type":"ping"}`).want(t, "type", "pong")
	eventually(t, "the processes end", func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	next := s.successor()
	next.start()
	dial(t, "tcp", next.service("t").Address).whoami()
}

// TestSuccessorFindsRubbish starts beside processes that it knows nothing of.
func TestSuccessorFindsRubbish(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(string) string{
		"rubbish":         func(string) string { return "rubbish" },
		"another version": func(s string) string { return strings.Replace(s, `"version":1`, `"version":99`, 1) },
		"reused pids":     func(s string) string { return strings.ReplaceAll(s, `"start_time":`, `"start_time":1`) },
	} {
		s := start(t, strings.Replace(lossServices, "name: t, host: 127.0.0.1, port: 0", "name: t, host: 127.0.0.1, port: 0, backlog: 5", 1)+"adoption_window: 1s\n")
		before := s.pidsByID()
		s.kill()
		file := filepath.Join(s.runtimeDir(), "state.json")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(spoil(string(b))), 0o600); err != nil {
			t.Fatal(err)
		}
		next := s.successor()
		next.start()
		for id, pid := range next.pidsByID() {
			if before[id] == pid {
				t.Errorf("%s: process %d was adopted", name, id)
			}
		}
		eventually(t, name+": the old processes end", func() bool {
			for _, pid := range before {
				if alive(pid) {
					return false
				}
			}
			return true
		})
		dial(t, "tcp", next.service("t").Address).whoami()
		next.stop()
	}
}

// TestSecondManager is refused beside one that lives, and beside one that is adopting
// what another left; both times nothing happens to the first.
func TestSecondManager(t *testing.T) {
	t.Parallel()
	s := start(t, lossServices)
	before := s.pidsByID()
	refused := func() {
		t.Helper()
		out, errs, code := s.antano("run", "-d", "--params", s.Params)
		if code != 1 || out != "" || !strings.Contains(errs, s.runtimeDir()) {
			t.Errorf("a second manager: %d, %q, %q", code, out, errs)
		}
	}
	refused()
	if after := s.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
	stopped := s.service("t").Processes[0].PID
	s.kill()
	if err := testserver.Freeze(stopped); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(stopped, syscall.SIGCONT)
	next := s.successor()
	started := make(chan error, 1)
	go func() { started <- next.Start(t.Context()) }()
	defer func() {
		if err := next.Stop(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "the successor has begun", func() bool {
		c, err := net.Dial("unix", filepath.Join(s.runtimeDir(), "relay.sock"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	refused()
	select {
	case err := <-started:
		t.Fatalf("the successor did not wait: %v", err)
	default:
	}
	if err := syscall.Kill(stopped, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if after := next.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
}

// TestSuccessorKeepsCommands kills the manager after commands: what was stopped stays so,
// what was scaled keeps its number, no process id is given to another service.
func TestSuccessorKeepsCommands(t *testing.T) {
	t.Parallel()
	s := newServer(t, lossServices)
	s.ownBinary()
	s.start()
	for _, args := range [][]string{{"scale", "u=3"}, {"stop", "x"}, {"stop", "t/3"}} {
		if out, errs, code := s.antano(args...); code != 0 {
			t.Fatalf("%s: %d\n%s%s", args, code, out, errs)
		}
	}
	want := func(s *server) {
		t.Helper()
		if n := len(s.service("u").Processes); n != 3 {
			t.Errorf("u has %d processes", n)
		}
		if x := s.service("x"); x.State != "stopped" || x.Processes[0].PID != 0 {
			t.Errorf("x is %+v", x)
		}
		if p := s.service("t").Processes; p[0].State != "stopped" || p[1].State != "ready" {
			t.Errorf("t is %+v", p)
		}
	}
	want(s)
	before, address := s.pidsByID(), s.service("t").Address
	if out, errs, code := s.antano("upgrade"); code != 0 {
		t.Fatalf("upgrade: %d\n%s%s", code, out, errs)
	}
	want(s)
	s.kill()
	next := s.successor()
	next.start()
	want(next)
	if after := next.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
	if out, errs, code := next.antano("start", "x"); code != 0 {
		t.Fatalf("start: %d\n%s%s", code, out, errs)
	}
	dial(t, "unix", filepath.Join(s.runtimeDir(), "x.sock")).whoami()
	if p := next.service("x").Processes[0]; p.ProcessID != 5 || p.Generation != 2 {
		t.Errorf("started again as %+v", p)
	}
	if out, errs, code := next.antano("start", "t"); code != 0 || next.service("t").Address != address {
		t.Errorf("start: %d\n%s%s, %s was %s", code, out, errs, next.service("t").Address, address)
	}
}

// TestSuccessorChangesParams gives the successor other params: what is the same stays,
// rows that are removed, changed and new are so after a reload that follows by itself.
func TestSuccessorChangesParams(t *testing.T) {
	t.Parallel()
	s := start(t, lossServices+"  - {id: 4, service_type: tcp, name: gone, host: 127.0.0.1, port: 0, processes: 2}\n")
	before, freed := s.pidsByID(), s.service("gone").Address
	c, u := dial(t, "tcp", s.service("t").Address), sourceOf(t, "udp", s.service("u").Address)
	id := c.whoami()
	s.kill()
	_, port, _ := net.SplitHostPort(freed)
	if err := s.WriteParams(strings.NewReplacer(
		"name: t, host: 127.0.0.1, port: 0, processes: 2", "name: t, host: 127.0.0.1, port: 0, processes: 2, limits: {idle_timeout: 1h}",
		"RUNTIME/x.sock, processes: 1", "RUNTIME/y.sock, processes: 2").Replace(lossServices) +
		"  - {id: 7, service_type: tcp, name: new, host: 127.0.0.1, port: " + port + ", processes: 1}\n"); err != nil {
		t.Fatal(err)
	}
	next := s.successor()
	next.start()
	eventually(t, "the params are applied", func() bool {
		services := next.status().Services
		return len(services) == 5 && services[3].Name == "new" && services[3].State == "ready" && strings.Contains(next.Stderr.String(), "reload: done")
	})
	after := next.pidsByID()
	if after[1] != before[1] || after[2] != before[2] {
		t.Errorf("the service that is the same has processes %v, had %v", after, before)
	}
	for _, id := range []int{3, 4, 5, 6, 7} {
		if before[id] == 0 || before[id] == after[id] || alive(before[id]) {
			t.Errorf("process %d: %v, was %v", id, after, before)
		}
	}
	if p := next.service("new").Processes[0]; p.ProcessID < 8 || next.service("new").Address != freed {
		t.Errorf("the new service has %+v", p)
	}
	if x := next.service("x"); len(x.Processes) != 2 || !strings.HasSuffix(x.Address, "/y.sock") {
		t.Errorf("the changed service is %+v", x)
	}
	if got := c.whoami(); got != id {
		t.Errorf("the client of a changed service is %s, was %s", got, id)
	}
	if got, _ := u.who(); got != u.id {
		t.Errorf("the datagram client is %s, was %s", got, u.id)
	}
	dial(t, "unix", filepath.Join(s.runtimeDir(), "y.sock")).whoami()
}

// TestSuccessorEndsReplacement kills the manager while a process is being replaced: the
// generation that serves is adopted, the one that starts is ended.
func TestSuccessorEndsReplacement(t *testing.T) {
	t.Parallel()
	s := start(t, `
service_type: [{id: 101, name: slowback}]
active_service:
  - {id: 1, service_type: slowback, name: udp, host: 127.0.0.1, port: 0, processes: 1}
timeouts: {start: 60s}
`, pluginDirs(t, "slowback")...)
	u, pid := sourceOf(t, "udp", s.service("udp").Address), s.service("udp").Processes[0].PID
	go func() { s.antano("restart", "udp") }()
	beside := 0
	eventually(t, "the next generation starts", func() bool {
		for _, g := range s.service("udp").Processes[0].Beside {
			beside = g.PID
		}
		return beside != 0
	})
	s.kill()
	next := s.successor(pluginDirs(t, "slowback")...)
	next.start()
	if p := next.service("udp").Processes[0]; p.PID != pid || p.Generation != 1 || p.State != "ready" || len(p.Beside) != 0 {
		t.Errorf("adopted is %+v, not pid %d", p, pid)
	}
	if id, _ := u.who(); id != u.id {
		t.Errorf("the client is %s, was %s", id, u.id)
	}
	eventually(t, "the other ends", func() bool { return !alive(beside) })
}
