package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ownBinary has the server run from a copy of the binary that can be replaced.
func (s *server) ownBinary() string {
	s.t.Helper()
	path := filepath.Join(s.dir, "antano")
	b, err := os.ReadFile(filepath.Join(binDir, "antano"))
	if err == nil {
		err = os.WriteFile(path, b, 0o755)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Path, s.cmd.Args[0] = path, path
	s.cmd.Args = append(s.cmd.Args, "--plugin-dir", filepath.Join(binDir, "plugins"))
	return path
}

// TestUpgrade executes the binary again under load: every request is answered with a
// receipt, and manager and processes keep their pids. A binary that is none is refused.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := newServer(t, lossServices)
	binary := s.ownBinary()
	s.start()
	before, tcp := s.pidsByID(), s.service("t").Address
	a, b := dial(t, "tcp", tcp), dial(t, "tcp", tcp)
	toB := b.whoami()
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := fmt.Fprintf(a.conn, `{"entity":"client","entity_id":%s,"message":%d,"id":%d}`+"\n", toB, n, n); err != nil {
				t.Error(err)
				return
			}
			line, err := a.r.ReadString('\n')
			if err != nil || !strings.Contains(line, `"receipt"`) || !strings.Contains(line, fmt.Sprintf(`"id":%d,`, n)) {
				t.Errorf("request %d: %q, %v", n, line, err)
				return
			}
		}
	}()
	for range 2 {
		if out, errs, code := s.antano("upgrade"); code != 0 {
			t.Fatalf("upgrade: %d\n%s%s", code, out, errs)
		}
	}
	close(stop)
	n := <-done
	for i := range n {
		b.receive().want(t, "message", fmt.Sprint(i))
	}
	t.Logf("%d requests over 2 upgrades", n)
	if after := s.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) || s.status().PID != s.cmd.Process.Pid {
		t.Errorf("processes %v, were %v; manager %d, was %d", after, before, s.status().PID, s.cmd.Process.Pid)
	}
	if err := os.Rename(binary, binary+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho I am none >&2\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := s.antano("upgrade"); code != 1 || !strings.Contains(errs, "I am none") {
		t.Errorf("a bad binary: %d, %s", code, errs)
	}
	if after := s.pidsByID(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("processes %v, were %v", after, before)
	}
}

// TestUpgradeKeepsWhatIsOpen upgrades while a handler works and a client does not read
// what is queued for it: both senders learn the truth.
func TestUpgradeKeepsWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, `
service_type: [{name: probe}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 3, service_type: unix, name: x, socket_type: stream, endpoint: RUNTIME/x.sock, processes: 1}
  - {id: 9, service_type: probe, name: probe, processes: 1}
`, pluginDirs(t, "probe")...)
	s.ownBinary()
	s.start()
	a, b := dial(t, "tcp", s.service("tcp").Address), dial(t, "tcp", s.service("tcp").Address)
	slow := dial(t, "unix", filepath.Join(s.runtimeDir(), "x.sock"))
	toSlow := slow.whoami()
	const n = 12
	value := `"` + strings.Repeat("x", 60_000) + `"`
	for i := range n {
		b.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":%s,"id":%d}`, toSlow, value, i))
	}
	busy(t, s, a, 2000)
	if out, errs, code := s.antano("upgrade"); code != 0 {
		t.Fatalf("upgrade: %d\n%s%s", code, out, errs)
	}
	for range n {
		slow.receive().want(t, "type", "message")
	}
	for range n {
		b.receive().want(t, "type", "receipt", "delivered", "1")
	}
	for range 2 {
		switch o := a.receive(); o["type"] {
		case "receipt":
			o.want(t, "id", "1", "delivered", "1")
		default:
			o.want(t, "type", "message", "in_reply_to", "1")
		}
	}
}

// TestUpgradeKeepsSockets upgrades while a service has no process: its address stays and
// refuses nobody, what waits in its backlog is served by the next process. Commands wait,
// too.
func TestUpgradeKeepsSockets(t *testing.T) {
	t.Parallel()
	s := newServer(t, `
active_service:
  - {id: 1, service_type: tcp, name: t, host: 127.0.0.1, port: 0, processes: 1, restart: {delay: 60s, max_delay: 60s}}
  - {id: 2, service_type: udp, name: u, host: 127.0.0.1, port: 0, processes: 1}
`)
	s.ownBinary()
	s.start()
	address, udp := s.service("t").Address, s.pidsByID()[2]
	for _, state := range []string{"ready", "backoff"} {
		generation := s.service("t").Processes[0].Generation
		if err := syscall.Kill(s.service("t").Processes[0].PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the killed process is "+state, func() bool {
			p := s.service("t").Processes[0]
			return p.State == state && (state == "backoff" || p.Generation > generation)
		})
	}
	waiting := dial(t, "tcp", address)
	waiting.send(`{"type":"ping"}`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, errs, code := s.antano("status"); code != 0 {
				t.Errorf("status: %d, %s", code, errs)
			}
		}
	}()
	for range 3 {
		if out, errs, code := s.antano("upgrade"); code != 0 {
			t.Fatalf("upgrade: %d\n%s%s", code, out, errs)
		}
	}
	cancel()
	<-done
	waiting.receive().want(t, "type", "pong")
	if p := s.service("t"); p.Address != address || p.Processes[0].Generation != 3 || s.pidsByID()[2] != udp {
		t.Errorf("after the upgrade: %+v", p)
	}
	inherited, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.pidsByID()[1]))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range inherited {
		if to, _ := os.Readlink(fd); strings.HasSuffix(to, "/lock") {
			t.Errorf("a process has inherited %s", to)
		}
	}
	s.stop()
}
