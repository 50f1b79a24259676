package main_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestGivenSockets is systemd with a socket unit: the sockets outlive stops, crashes and
// upgrades of antano, and no connection is refused.
func TestGivenSockets(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	address := tcp.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	s := newServer(t, `
adoption_window: 20s
active_service:
  - {id: 1, service_type: tcp, host: 127.0.0.1, port: `+port+`, processes: 2}
  - {id: 2, service_type: unix, endpoint: RUNTIME.sock, socket_type: stream, processes: 1}
`)
	path := s.runtimeDir() + ".sock"
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	unix.(*net.UnixListener).SetUnlinkOnClose(false)
	defer unix.Close()
	stray, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stray.Close()
	activate := func(s *server) {
		t.Helper()
		for _, l := range []any{tcp, unix, stray} {
			f, err := l.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			s.cmd.ExtraFiles = append(s.cmd.ExtraFiles, f)
		}
		script := `LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=antano.socket:antano.socket:stray exec "$0" "$@"`
		s.cmd.Args = append([]string{"sh", "-c", script, s.cmd.Path}, s.cmd.Args[1:]...)
		s.cmd.Path = "/bin/sh"
		s.start()
	}
	activate(s)
	c, u := dial(t, "tcp", address), dial(t, "unix", path)
	c.whoami()
	u.whoami()
	wantIn(t, s.stderr.String(), `socket="stray (tcp `+stray.Addr().String()+`)"`)
	if n := strings.Count(s.stderr.String(), "socket that was given"); n != 1 {
		t.Errorf("it warns %d times", n)
	}

	// A stopped service leaves what comes to the next start.
	if _, stderr, code := s.antano("stop", "tcp"); code != 0 {
		t.Fatal(stderr)
	}
	waiting := dial(t, "tcp", address)
	if _, stderr, code := s.antano("start", "tcp"); code != 0 {
		t.Fatal(stderr)
	}
	waiting.whoami()

	// A successor of a killed one, and a new binary, have the same sockets.
	c = dial(t, "tcp", address)
	id := c.whoami()
	s.Kill()
	next := wrap(t, s.Successor())
	activate(next)
	if got := c.whoami(); got != id {
		t.Errorf("the client was %s and is %s", id, got)
	}
	if _, stderr, code := next.antano("upgrade"); code != 0 {
		t.Fatal(stderr)
	}
	c.whoami()
	dial(t, "unix", path).whoami()
	next.stop()
	if n := strings.Count(next.stderr.String(), "socket that was given"); n != 2 { // both know of one stray socket
		t.Errorf("it warns %d times:\n%s", n, next.stderr)
	}
	for _, network := range []string{"tcp " + address, "unix " + path} {
		name, at, _ := strings.Cut(network, " ")
		conn, err := net.Dial(name, at)
		if err != nil {
			t.Errorf("after the stop: %v", err)
			continue
		}
		conn.Close()
	}
}

// TestGivenUDP reads a given socket as one slot of 64.
func TestGivenUDP(t *testing.T) {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		const reusePort = 15
		return errors.Join(c.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) }), failed)
	}}
	udp, err := shared.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	f, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(udp.LocalAddr().String())
	s := newServer(t, "active_service:\n  - {id: 1, service_type: udp, host: 127.0.0.1, port: "+port+", processes: 2}\n")
	s.cmd.ExtraFiles = []*os.File{f}
	s.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"`, s.cmd.Path}, s.cmd.Args[1:]...)
	s.cmd.Path = "/bin/sh"
	s.start()
	f.Close()
	for range 200 { // the kernel spreads the sources over all sockets
		dial(t, "udp", udp.LocalAddr().String()).whoami()
	}
}

// TestGivenSocketThatDoesNotFit is an error that names the socket.
func TestGivenSocketThatDoesNotFit(t *testing.T) {
	s := newServer(t, "active_service:\n  - {id: 1, name: chat, service_type: tcp, host: 127.0.0.1, port: 0}\n")
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	f, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s.cmd.ExtraFiles = []*os.File{f}
	s.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=chat exec "$0" "$@"`, s.cmd.Path}, s.cmd.Args[1:]...)
	s.cmd.Path = "/bin/sh"
	if err := s.Start(t.Context()); err == nil {
		s.stop()
		t.Fatal("it started")
	}
	wantIn(t, s.stderr.String(), fmt.Sprintf("socket chat that was given is udp %s, and the service is tcp 127.0.0.1:0", udp.LocalAddr()))
	if left, _ := filepath.Glob(s.runtimeDir() + "/*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
