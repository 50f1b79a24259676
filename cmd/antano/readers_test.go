package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// TestNobodyReadsTheOutput has whoever reads standard output or standard error go
// away, as behind `| head`: the server runs on and stops gently.
func TestNobodyReadsTheOutput(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"stdout", "stderr"} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "active_service:\n  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0}\n")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			if stream == "stdout" {
				s.cmd.Stdout = w
			} else {
				s.cmd.Stderr = w
			}
			if err := s.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			ended := make(chan error, 1)
			go func() { ended <- s.cmd.Wait() }()
			eventually(t, "the server is ready", func() bool {
				out, _, code := s.antano("status")
				return code == 0 && strings.Contains(out, "server 1: ready")
			})
			dial(t, "unix", filepath.Join(s.runtimeDir(), "internal.sock")).ask(`{"type":"ping"}`).want(t, "type", "pong")
			if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("ended with %v\n%s", err, s.stderr)
			}
			if _, err := os.Stat(s.runtimeDir()); err == nil {
				t.Error("the runtime directory is left")
			}
			if said := strings.Contains(s.stderr.String(), "nobody reads standard output"); said != (stream == "stdout") {
				t.Errorf("the log says so: %t\n%s", said, s.stderr)
			}
		})
	}
}

// TestStalledLog has nobody read standard error while a plugin floods it: processes are
// replaced all the same, and the server stops.
func TestStalledLog(t *testing.T) {
	t.Parallel()
	s := newServer(t, `
service_type: [{name: flood}]
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 9, service_type: flood, name: flood, processes: 1}
`, pluginDirs(t, "flood")...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.cmd.Stderr = w
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	eventually(t, "the server is ready", func() bool {
		out, _, code := s.antano("status")
		return code == 0 && strings.Contains(out, "server 1: ready")
	})
	before := 0
	eventually(t, "the pipe is full", func() bool { // how much fits depends on how it was written
		queued := 0
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, r.Fd(), syscall.TIOCINQ, uintptr(unsafe.Pointer(&queued)))
		same := queued == before
		before = queued
		return errno == 0 && queued > 32<<10 && same
	})
	if err := syscall.Kill(s.service("tcp").Processes[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the killed process is back", func() bool {
		p := s.service("tcp").Processes[0]
		return p.State == "ready" && p.Generation == 2
	})
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		t.Errorf("antano did not stop within %s: %v", patience, <-ended)
	}
}
