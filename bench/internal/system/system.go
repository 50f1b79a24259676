// Package system runs a built antano for a benchmark: it writes the params, starts
// `antano run`, waits for `ready` and stops it again.
package system

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a running antano.
type Server struct {
	Bin        string // the antano command
	Dir        string // holds params, plugins and the runtime directory
	StartReady time.Duration
	cmd        *exec.Cmd
	log        bytes.Buffer // standard error, read once the process has ended
}

// Start runs the services of params (a value that marshals to a params file). The
// plugin directory has the built plugins and this very binary as type "bench".
func Start(ctx context.Context, bin string, params any) (*Server, error) {
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return nil, err
	}
	s := &Server{Bin: bin, Dir: dir}
	if err := s.start(ctx, params); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, params any) error {
	file := filepath.Join(s.Dir, "params.json")
	b, err := json.Marshal(params)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	plugins, err := s.pluginDir()
	if err != nil {
		return err
	}
	s.cmd = exec.CommandContext(ctx, s.Bin, "run", "--params", file, "--plugin-dir", plugins, "--runtime-dir", s.RuntimeDir(), "-d", "-l", "warn")
	s.cmd.Stderr = &s.log
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			s.StartReady = time.Since(began)
			go io.Copy(io.Discard, out)
			return nil
		}
	}
	err = s.cmd.Wait()
	s.cmd = nil
	return fmt.Errorf("antano ended before it was ready: %w\n%s", err, s.log.String())
}

func (s *Server) pluginDir() (string, error) {
	dir := filepath.Join(s.Dir, "plugins")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	built := filepath.Join(filepath.Dir(s.Bin), "plugins")
	names, err := os.ReadDir(built)
	if err != nil {
		return "", err
	}
	for _, n := range names {
		if err := os.Symlink(filepath.Join(built, n.Name()), filepath.Join(dir, n.Name())); err != nil {
			return "", err
		}
	}
	return dir, os.Symlink(self, filepath.Join(dir, "antano-service-bench"))
}

// RuntimeDir is the server's runtime directory.
func (s *Server) RuntimeDir() string { return filepath.Join(s.Dir, "run") }

// PID is the manager's pid.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Status is the part of `antano status --json` that benchmarks read.
type Status struct {
	Services []struct {
		ID        int64  `json:"id"`
		Name      string `json:"name"`
		Address   string `json:"address"`
		Processes []struct {
			ProcessID  int    `json:"process_id"`
			PID        int    `json:"pid"`
			State      string `json:"state"`
			Generation int    `json:"generation"`
		} `json:"processes"`
	} `json:"services"`
}

// Status asks the server.
func (s *Server) Status(ctx context.Context) (Status, error) {
	out, err := exec.CommandContext(ctx, s.Bin, "status", "--json", "--runtime-dir", s.RuntimeDir()).Output()
	if err != nil {
		return Status{}, fmt.Errorf("antano status: %w", err)
	}
	var st Status
	return st, json.Unmarshal(out, &st)
}

// Address is where a service listens.
func (s *Server) Address(ctx context.Context, name string) (string, error) {
	st, err := s.Status(ctx)
	if err != nil {
		return "", err
	}
	for _, svc := range st.Services {
		if svc.Name == name {
			return svc.Address, nil
		}
	}
	return "", fmt.Errorf("no service %s", name)
}

// Stop ends the server and removes its directory.
func (s *Server) Stop() error {
	var err error
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		err = s.cmd.Wait()
	}
	os.RemoveAll(s.Dir)
	return err
}

// PSS is the proportional set size of a process in bytes.
func PSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no Pss of %d", pid)
}

// Dial connects to a TCP address until it is taken.
func Dial(address string) (net.Conn, error) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", address)
		if err == nil || time.Now().After(deadline) {
			return c, err
		}
	}
}
