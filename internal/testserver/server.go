package testserver

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
	"time"

	"github.com/antano/antano/manager"
)

// Patience bounds every wait for a server.
const Patience = 20 * time.Second

// Server is an `antano run`. Its exported fields may be changed before Start; it is
// used by one goroutine at a time, except Status, Ask, Antano and Exited.
type Server struct {
	Dir    string // holds params and the runtime directory; see Remove
	Params string // the params file; empty for development params
	Cmd    *exec.Cmd
	Stderr *Output

	bin    string // the antano command
	lines  []string
	exited chan struct{}
}

// Prepare makes a server that is not started: binDir is what Build filled, params is
// YAML, where RUNTIME stands for the runtime directory, flags go to `antano run`.
func Prepare(binDir, params string, flags ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "ae") // short: sockets are made in there
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: filepath.Join(binDir, "antano")}
	if params != "" {
		s.Params = filepath.Join(dir, "params.yaml")
		if err := s.WriteParams(params); err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
	}
	s.command(flags)
	return s, nil
}

func (s *Server) command(flags []string) {
	args := []string{"run", "-d", "-l", "debug", "--runtime-dir", s.RuntimeDir()}
	if s.Params != "" {
		args = append(args, "--params", s.Params)
	}
	s.Cmd = exec.Command(s.bin, append(args, flags...)...)
	s.Stderr = &Output{}
	s.Cmd.Stderr = s.Stderr
	s.exited = make(chan struct{})
}

// Successor prepares another server on the directory of s, which has ended.
func (s *Server) Successor(flags ...string) *Server {
	next := &Server{Dir: s.Dir, Params: s.Params, bin: s.bin}
	next.command(flags)
	return next
}

// WriteParams replaces the params file.
func (s *Server) WriteParams(params string) error {
	return os.WriteFile(s.Params, []byte(strings.ReplaceAll(params, "RUNTIME", s.RuntimeDir())), 0o600)
}

// RuntimeDir is the server's runtime directory.
func (s *Server) RuntimeDir() string { return filepath.Join(s.Dir, "run") }

// Start runs the server up to its `ready` line, for at most Patience.
func (s *Server) Start() error {
	out, err := s.Cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.Cmd.Start(); err != nil {
		return err
	}
	ready := make(chan bool, 1)
	go func() {
		defer close(s.exited)
		in := bufio.NewScanner(out)
		for in.Scan() {
			s.lines = append(s.lines, in.Text())
			if in.Text() == "ready" {
				select {
				case ready <- true:
				default: // said again after an upgrade
				}
			}
		}
		close(ready)
		_ = s.Cmd.Wait()
	}()
	select {
	case ok := <-ready:
		if !ok {
			<-s.exited
			return fmt.Errorf("antano ended before it was ready: %v\n%s", s.Cmd.ProcessState, s.Stderr)
		}
	case <-time.After(Patience):
		return fmt.Errorf("antano is not ready after %s\n%s", Patience, s.Stderr)
	}
	return nil
}

// Exited is closed once the server that was started is gone.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Lines is the standard output, complete once the server has exited.
func (s *Server) Lines() []string { return s.lines }

// PID is the manager's.
func (s *Server) PID() int { return s.Cmd.Process.Pid }

// Stop ends a started server gently and waits for it; after Patience it kills it,
// which is an error.
func (s *Server) Stop() error {
	select {
	case <-s.exited:
		return nil
	default:
	}
	_ = s.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		return nil
	case <-time.After(Patience):
		s.Kill()
		return fmt.Errorf("antano did not stop within %s", Patience)
	}
}

// Kill ends a started server with SIGKILL and waits for it.
func (s *Server) Kill() {
	_ = s.Cmd.Process.Kill()
	<-s.exited
}

// Remove deletes the directory of a server.
func (s *Server) Remove() error { return os.RemoveAll(s.Dir) }

// Antano runs another command against the server, bounded by ctx, and returns what it
// printed and its exit code.
func (s *Server) Antano(ctx context.Context, args ...string) (stdout, stderr string, code int, err error) {
	return Antano(ctx, s.bin, "", append(args, "--runtime-dir", s.RuntimeDir())...)
}

// Antano runs a command of the binary bin. A code other than 0 is no error.
func Antano(ctx context.Context, bin, stdin string, args ...string) (stdout, stderr string, code int, err error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return "", "", -1, fmt.Errorf("antano %v: %w", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode(), nil
}

// Status asks for /v1/status.
func (s *Server) Status() (st manager.Status, err error) {
	err = s.Ask("/v1/status", &st)
	return st, err
}

// Ask gets a resource of the control socket.
func (s *Server) Ask(path string, into any) error {
	client := http.Client{Timeout: Patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(s.RuntimeDir(), "control.sock"))
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

// Output collects what a program prints. It is safe for concurrent use.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
