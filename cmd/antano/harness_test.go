package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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

// build makes all binaries with one command and puts the plugins where antano looks.
func build() error {
	packages := []string{".", "../../plugins/udp", "../../plugins/tcp", "../../plugins/unix", "../../examples/echo", "./testdata/misfit"}
	args := append([]string{"build", "-ldflags=-w", "-o", binDir + "/"}, raceFlags...)
	cmd := exec.Command("go", append(args, packages...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", packages, err, out)
	}
	if err := os.Mkdir(filepath.Join(binDir, "plugins"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"udp", "tcp", "unix", "echo"} {
		if err := os.Rename(filepath.Join(binDir, name), filepath.Join(binDir, "plugins", "antano-service-"+name)); err != nil {
			return err
		}
	}
	return nil
}

const patience = 20 * time.Second

// server is a running `antano run`.
type server struct {
	t      *testing.T
	dir    string // holds params and the runtime directory
	cmd    *exec.Cmd
	lines  []string // standard output up to `ready`
	stderr *lockedBuffer
	exited chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newServer prepares a server with the given params (YAML) and starts nothing yet.
// RUNTIME in the params stands for the runtime directory.
func newServer(t *testing.T, params string, flags ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "ae") // t.TempDir is too long for a socket path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, dir: dir, stderr: &lockedBuffer{}, exited: make(chan struct{})}
	args := []string{"run", "-d", "-l", "debug", "--runtime-dir", s.runtimeDir()}
	if params != "" {
		file := filepath.Join(dir, "params.yaml")
		text := strings.ReplaceAll(params, "RUNTIME", s.runtimeDir())
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--params", file)
	}
	s.cmd = exec.Command(filepath.Join(binDir, "antano"), append(args, flags...)...)
	s.cmd.Stderr = s.stderr
	return s
}

func (s *server) runtimeDir() string { return filepath.Join(s.dir, "run") }

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
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() {
		defer close(s.exited)
		in := bufio.NewScanner(out)
		for in.Scan() {
			s.lines = append(s.lines, in.Text())
			if in.Text() == "ready" {
				ready <- true
			}
		}
		close(ready)
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.stop()
		if strings.Contains(s.stderr.String(), "DATA RACE") {
			t.Error("the race detector found something")
		}
		if t.Failed() {
			t.Logf("standard error of antano:\n%s", s.stderr)
		}
	})
	select {
	case ok := <-ready:
		if !ok {
			t.Fatalf("antano ended before it was ready: %v\n%s", s.cmd.ProcessState, s.stderr)
		}
	case <-time.After(patience):
		t.Fatalf("antano is not ready after %s\n%s", patience, s.stderr)
	}
}

// stop ends the server gently and waits for it.
func (s *server) stop() {
	select {
	case <-s.exited:
		return
	default:
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Errorf("antano did not stop within %s", patience)
		_ = s.cmd.Process.Kill()
		<-s.exited
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
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "antano"), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("antano %v: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *server) status() manager.Status {
	s.t.Helper()
	var st manager.Status
	if err := s.ask("/v1/status", &st); err != nil {
		s.t.Fatal(err)
	}
	return st
}

// ask gets a resource of the control socket.
func (s *server) ask(path string, into any) error {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(s.runtimeDir(), "control.sock"))
	}}}
	answer, err := client.Get("http://antano" + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return json.NewDecoder(answer.Body).Decode(into)
}

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
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is stopped", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, task := range tasks {
			b, e := os.ReadFile(task)
			_, rest, _ := strings.Cut(string(b), ") ")
			if e == nil && !strings.HasPrefix(rest, "T") {
				return false
			}
		}
		return err == nil && len(tasks) > 0
	})
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
