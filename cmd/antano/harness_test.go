package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/internal/testserver"
	"github.com/antano/antano/manager"
)

// binDir holds what the tests run: the real binaries, built once.
var binDir string

func TestMain(m *testing.M) {
	code := 1
	// A program with the race detector else sleeps for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE"))
	if dir, err := os.MkdirTemp("", "ae"); err == nil {
		binDir = dir
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		} else {
			code = m.Run()
		}
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// build makes all binaries and puts the plugins where antano looks.
func build() error {
	return testserver.Build(binDir, raceFlags, "/cmd/antano/testdata/misfit", "/cmd/antano/testdata/bent", "/plugins/websocket/testdata/lines")
}

const patience = testserver.Patience

// server is a running `antano run`.
type server struct {
	*testserver.Server
	t      *testing.T
	dir    string // holds params and the runtime directory
	cmd    *exec.Cmd
	stderr *lockedBuffer
	exited <-chan struct{}
}

type lockedBuffer = testserver.Output

// newServer prepares a server with the given params (YAML) and starts nothing yet.
// RUNTIME in the params stands for the runtime directory.
func newServer(t *testing.T, params string, flags ...string) *server {
	t.Helper()
	s, err := testserver.Prepare(binDir, params, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Remove() })
	return wrap(t, s)
}

func wrap(t *testing.T, s *testserver.Server) *server {
	return &server{Server: s, t: t, dir: s.Dir, cmd: s.Cmd, stderr: s.Stderr, exited: s.Exited()}
}

func (s *server) runtimeDir() string { return s.RuntimeDir() }

// start runs the server up to its `ready` line.
func start(t *testing.T, params string, flags ...string) *server {
	t.Helper()
	s := newServer(t, params, flags...)
	s.start()
	return s
}

// start runs a prepared server up to its `ready` line.
func (s *server) start() {
	t := s.t
	t.Helper()
	err := s.Start(t.Context())
	t.Cleanup(func() {
		if s.cmd.Process == nil {
			return
		}
		s.stop()
		if strings.Contains(s.stderr.String(), "DATA RACE") {
			t.Error("the race detector found something")
		}
		if t.Failed() {
			t.Logf("standard error of antano:\n%s", s.stderr)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// stop ends the server gently and waits for it.
func (s *server) stop() {
	if err := s.Stop(); err != nil {
		s.t.Error(err)
	}
}

// antano runs another command against the server and returns what it printed.
func (s *server) antano(args ...string) (stdout, stderr string, code int) {
	return antano(s.t, "", append(args, "--runtime-dir", s.runtimeDir())...)
}

func antano(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stdout, stderr, code, err := testserver.Antano(ctx, filepath.Join(binDir, "antano"), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout, stderr, code
}

func (s *server) status() manager.Status {
	s.t.Helper()
	st, err := s.Status()
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// ask gets a resource of the control socket.
func (s *server) ask(path string, into any) error { return s.Ask(path, into) }

func (s *server) service(name string) manager.ServiceStatus {
	s.t.Helper()
	for _, svc := range s.status().Services {
		if svc.Name == name {
			return svc
		}
	}
	s.t.Fatalf("status shows no service %s", name)
	return manager.ServiceStatus{}
}

// eventually polls an outside process until ok, for at most patience.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ok() {
			return
		}
		pause()
	}
	t.Fatalf("%s: not within %s", what, patience)
}

// pause spaces the questions to an outside process.
func pause() { <-time.After(20 * time.Millisecond) }

// client is a line client on a stream or a datagram socket.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dial(t *testing.T, network, address string) *client {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t, conn, bufio.NewReaderSize(conn, 2<<20)}
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, ok := c.conn.(*net.TCPConn); ok || c.conn.LocalAddr().Network() == "unix" {
		line += "\n"
	}
	if _, err := c.conn.Write([]byte(line)); err != nil {
		c.t.Fatal(err)
	}
}

// object is a message object as it arrived.
type object map[string]any

func (c *client) receive() object {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	var line []byte
	var err error
	if c.conn.LocalAddr().Network() == "udp" || c.conn.LocalAddr().Network() == "unixgram" {
		buf := make([]byte, 1<<16)
		var n int
		n, err = c.conn.Read(buf)
		line = buf[:n]
	} else {
		line, err = c.r.ReadBytes('\n')
	}
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return decode(c.t, line)
}

func decode(t *testing.T, line []byte) (o object) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%q is no object: %v", line, err)
	}
	return o
}

// ask sends a line and returns what comes back.
func (c *client) ask(line string) object {
	c.t.Helper()
	c.send(line)
	return c.receive()
}

// want fails unless the object has the given fields, as they print.
func (o object) want(t *testing.T, fields ...string) object {
	t.Helper()
	for i := 0; i < len(fields); i += 2 {
		if got := fmt.Sprint(o[fields[i]]); got != fields[i+1] {
			t.Fatalf("%s is %s, want %s in %v", fields[i], got, fields[i+1], o)
		}
	}
	return o
}

// whoami returns the client's id.
func (c *client) whoami() string {
	c.t.Helper()
	return fmt.Sprint(c.ask(`{"type":"whoami"}`).want(c.t, "type", "client")["entity_id"])
}

// freeze stops a process and waits until it stands still.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := testserver.Freeze(pid); err != nil {
		t.Fatal(err)
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool { return testserver.Alive(pid) }
