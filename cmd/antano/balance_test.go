package main_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/manager"
)

// TestBalance connects 1000 idle clients to a service of four processes: none has
// more than 1.25 times its fair share.
func TestBalance(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 4}
`)
	const n = 1000
	address := s.service("tcp").Address
	for range n {
		dial(t, "tcp", address)
	}
	var each []uint64
	eventually(t, "every connection is accepted", func() bool {
		each = nil
		sum := uint64(0)
		for _, p := range s.service("tcp").Processes {
			each, sum = append(each, p.Clients), sum+p.Clients
		}
		return sum == n
	})
	if most := slices.Max(each); most > n/4*5/4 {
		t.Errorf("the clients are spread as %v", each)
	}
}

// TestBalanceBesideAStoppedProcess leaves the clients to the three that run.
func TestBalanceBesideAStoppedProcess(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 4}
timeouts: {drain: 200ms, stop: 200ms}
`)
	svc := s.service("tcp")
	freeze(t, svc.Processes[0].PID)
	const n = 300
	for range n {
		dial(t, "tcp", svc.Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
	}
	for _, p := range s.service("tcp").Processes[1:] {
		if p.Clients > n/3*5/4 {
			t.Errorf("process %d has %d of %d clients", p.ProcessID, p.Clients, n)
		}
	}
	if err := syscall.Kill(svc.Processes[0].PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// TestMaxClients turns away who is too many, with a word, and takes the next one
// once there is room.
func TestMaxClients(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1, limits: {max_clients: 3}}
`)
	address := s.service("tcp").Address
	var in []*client
	for range 3 {
		c := dial(t, "tcp", address)
		c.ask(`{"type":"ping"}`).want(t, "type", "pong")
		in = append(in, c)
	}
	for range 5 {
		c := dial(t, "tcp", address)
		c.receive().want(t, "type", "error", "code", "overloaded")
		if n, err := io.Copy(io.Discard, c.r); n > 0 || err != nil {
			t.Errorf("after overloaded came %d bytes, %v", n, err)
		}
	}
	p := s.service("tcp").Processes[0]
	if p.Drops["overloaded"] != 5 || p.Clients != 3 {
		t.Errorf("%d clients, drops %v", p.Clients, p.Drops)
	}
	in[0].conn.Close()
	eventually(t, "there is room again", func() bool { return s.service("tcp").Processes[0].Clients == 2 })
	dial(t, "tcp", address).ask(`{"type":"ping"}`).want(t, "type", "pong")
	s.must("scale", "tcp=3")
	for range 10 {
		dial(t, "tcp", address).receive().want(t, "type", "error", "code", "overloaded")
	}
	in[1].conn.Close()
	eventually(t, "there is room again", func() bool { return clientsOf(s.service("tcp")) == 2 })
	dial(t, "tcp", address).ask(`{"type":"ping"}`).want(t, "type", "pong")
	dial(t, "tcp", address).receive().want(t, "type", "error", "code", "overloaded")
}

func clientsOf(svc manager.ServiceStatus) (n uint64) {
	for _, p := range svc.Processes {
		n += p.Clients
	}
	return n
}

// TestReadyLines prints one line per service, with the port that the kernel chose.
func TestReadyLines(t *testing.T) {
	t.Parallel()
	s := start(t, withHandlers, pluginDirs(t, "probe")...)
	want := []string{
		`service 1 tcp: tcp on 127\.0\.0\.1:[1-9]\d+, 2 of 2 processes ready`,
		`service 2 udp: udp on 127\.0\.0\.1:[1-9]\d+, 2 of 2 processes ready`,
		`service 9 probe: probe on no socket, 3 of 3 processes ready`,
		`service 10 echo: echo on no socket, 1 of 1 processes ready`,
		`service 11 text: tcp on 127\.0\.0\.1:[1-9]\d+, 1 of 1 processes ready`,
		`service 0 internal: unix on ` + s.runtimeDir() + `/internal\.sock, 1 of 1 processes ready`,
		`ready`,
	}
	s.stop()
	lines := s.Lines()
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d: %q", len(lines), len(want), lines)
	}
	for i, line := range lines {
		if !regexp.MustCompile("^" + want[i] + "$").MatchString(line) {
			t.Errorf("line %d is %q, want %s", i, line, want[i])
		}
	}
}

// TestWildcardAnswersFromTheAddressAsked asks a UDP service on all addresses at
// several of them; a connected socket takes answers from the address asked only.
func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 0.0.0.0, port: 0, processes: 2}
`)
	_, port, err := net.SplitHostPort(s.service("udp").Address)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.9.8.7"} {
		c := dial(t, "udp", net.JoinHostPort(host, port))
		c.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
		id := c.whoami()
		other := dial(t, "udp", net.JoinHostPort("127.0.0.3", port)) // what is sent later comes from there too
		other.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":1,"id":2}`, id)).want(t, "type", "receipt", "delivered", "1")
		c.receive().want(t, "type", "message", "message", "1")
	}
}

// TestIdleTimeout forgets a silent client and closes its connection, and keeps one
// that says something.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1, limits: {idle_timeout: 500ms}}
  - {id: 2, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 1, limits: {idle_timeout: 500ms}}
`)
	silent, udp := dial(t, "tcp", s.service("tcp").Address), dial(t, "udp", s.service("udp").Address)
	began := time.Now()
	first := udp.whoami()
	if err := silent.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, silent.r); n > 0 || err != nil || time.Since(began) < 400*time.Millisecond {
		t.Errorf("%d bytes and %v after %s", n, err, time.Since(began))
	}
	eventually(t, "the UDP client is forgotten", func() bool { return s.service("udp").Processes[0].Clients == 0 })
	if again := udp.whoami(); again == first {
		t.Errorf("the id %s was used again", again)
	}
}
