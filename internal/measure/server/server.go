// Package server runs an antano for what measures or tests it: it writes the params,
// starts `antano run` in a temporary directory, waits for `ready`, asks it, and takes it
// down again. The server ends with the program that started it, whatever ends that.
package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/antano/antano/manager"
	"github.com/antano/antano/shared"
)

// Patience bounds every wait for a server.
const Patience = time.Minute

// Config says what to run.
type Config struct {
	Bin    string   // the antano command
	Params string   // YAML or JSON, where RUNTIME stands for the runtime directory; empty: development params
	Level  string   // of the log
	Flags  []string // further ones of `antano run`
	// Plugin makes the running program the plugin of this service type, beside those that
	// PluginDirs has, or the directories that antano looks in by default.
	Plugin     string
	PluginDirs []string
}

// Server is an `antano run`. Its exported fields may be changed before Start; it is
// used by one goroutine at a time, except Status, Ask, Antano and Exited.
type Server struct {
	Dir    string // holds params and the runtime directory; see Remove
	Params string // the params file; empty for development params
	Cmd    *exec.Cmd
	Stderr *Output
	Took   time.Duration // from Start to `ready`

	cfg    Config
	lines  []string
	exited chan struct{}
}

// Prepare makes a server that is not started.
func Prepare(cfg Config) (*Server, error) {
	dir, err := os.MkdirTemp("", "ae") // short: sockets are made in there
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, cfg: cfg}
	if err := s.prepare(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) prepare() error {
	if s.cfg.Params != "" {
		s.Params = filepath.Join(s.Dir, "params.yaml")
		if err := s.WriteParams(s.cfg.Params); err != nil {
			return err
		}
	}
	if s.cfg.Plugin != "" {
		if err := s.install(); err != nil {
			return err
		}
	}
	s.command(s.cfg.Flags)
	return nil
}

// Run prepares and starts a server; Close ends it.
func Run(ctx context.Context, cfg Config) (*Server, error) {
	s, err := Prepare(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) command(flags []string) {
	args := []string{"run", "-d", "-l", s.cfg.Level, "--runtime-dir", s.RuntimeDir()}
	if s.Params != "" {
		args = append(args, "--params", s.Params)
	}
	for _, dir := range s.cfg.PluginDirs {
		args = append(args, "--plugin-dir", dir)
	}
	s.Cmd = exec.Command(s.cfg.Bin, append(args, flags...)...)
	s.Stderr = &Output{}
	s.Cmd.Stderr = s.Stderr
	s.exited = make(chan struct{})
}

// Successor prepares another server on the directory of s, which has ended.
func (s *Server) Successor(flags ...string) *Server {
	next := &Server{Dir: s.Dir, Params: s.Params, cfg: s.cfg}
	next.command(flags)
	return next
}

// WriteParams replaces the params file.
func (s *Server) WriteParams(params string) error {
	return os.WriteFile(s.Params, []byte(strings.ReplaceAll(params, "RUNTIME", s.RuntimeDir())), 0o600)
}

// RuntimeDir is the server's runtime directory.
func (s *Server) RuntimeDir() string { return filepath.Join(s.Dir, "run") }

// Start runs the server up to its `ready` line, for at most Patience. One that does not
// get there, or not before ctx ends, is stopped again.
func (s *Server) Start(ctx context.Context) error {
	out, err := s.Cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if s.Cmd.SysProcAttr == nil { // a group of its own: Ctrl-C is ours to pass on
		s.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	}
	began := time.Now()
	started, ready := make(chan error, 1), make(chan bool, 1)
	go s.attend(out, started, ready)
	if err := <-started; err != nil {
		return err
	}
	select {
	case ok := <-ready:
		s.Took = time.Since(began)
		if !ok {
			<-s.exited
			return s.failure()
		}
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), s.Stop())
	case <-time.After(Patience):
		return errors.Join(fmt.Errorf("antano is not ready after %s\n%s", Patience, s.Stderr), s.Stop())
	}
}

// failure says why the server ended before it was ready.
func (s *Server) failure() error {
	err := fmt.Errorf("antano ended before it was ready: %v\n%s", s.Cmd.ProcessState, s.Stderr)
	if s.Cmd.ProcessState.ExitCode() == shared.ExitConfig {
		return fmt.Errorf("%w: %w", manager.ErrConfig, err)
	}
	return err
}

// attend lives as long as the server. It keeps its thread, since the kernel sends the
// signal for the death of a parent when the thread that forked is gone.
func (s *Server) attend(out io.Reader, started chan<- error, ready chan<- bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.exited)
	defer close(ready)
	err := s.Cmd.Start()
	started <- err
	if err != nil {
		return
	}
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
	_ = s.Cmd.Wait()
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

// Close stops a started server and removes its directory.
func (s *Server) Close() error { return errors.Join(s.Stop(), s.Remove()) }

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
