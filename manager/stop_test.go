package manager

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/shared"
)

// running is a Server in its Run.
type running struct {
	*Server
	t     *testing.T
	stop  context.CancelFunc
	ready chan Status
	ended chan error
}

func run(t *testing.T, s *Server) *running {
	t.Helper()
	r := &running{Server: s, t: t, ready: make(chan Status, 1), ended: make(chan error, 1)}
	s.cfg.OnReady = func(st Status) { r.ready <- st }
	var ctx context.Context
	ctx, r.stop = context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		r.ended <- s.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		r.stop()
		s.Kill()
		<-done
	})
	return r
}

func (r *running) awaitReady() Status {
	r.t.Helper()
	select {
	case st := <-r.ready:
		return st
	case err := <-r.ended:
		r.t.Fatalf("ended before it was ready: %v", err)
	case <-time.After(patience):
		r.t.Fatal("not ready in time")
	}
	return Status{}
}

func (r *running) awaitEnd() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		r.t.Fatal("did not end in time")
	}
	return nil
}

// process polls until the process with an id is as it should be.
func (r *running) process(id int, what string, ok func(ProcessStatus) bool) ProcessStatus {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for _, svc := range r.Status().Services {
			for _, p := range svc.Processes {
				if p.ProcessID == id && ok(p) {
					return p
				}
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	b, _ := json.MarshalIndent(r.Status(), "", " ")
	r.t.Fatalf("process %d is not %s in time: %s", id, what, b)
	return ProcessStatus{}
}

// misfit adds the plugin that misbehaves in processes of an even id, as kind says.
func misfit(t *testing.T, dir, kind string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "plugins", shared.PluginPrefix+kind), "../cmd/antano/testdata/misfit")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build misfit: %v\n%s", err, out)
	}
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatal(err)
	}
}

// freeze stops a process and waits until all its threads stand still.
func freeze(t *testing.T, pid int) {
	t.Helper()
	signal(t, pid, syscall.SIGSTOP)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		still := 0
		for _, thread := range threads {
			if b, err := os.ReadFile(thread); err == nil && strings.Contains(string(b), ") T ") {
				still++
			}
		}
		if still > 0 && still == len(threads) {
			return
		}
	}
	t.Fatalf("process %d does not stop", pid)
}

func inState(state string) func(ProcessStatus) bool {
	return func(p ProcessStatus) bool { return p.State == state }
}

// TestProcessLostDuringStartUp has a process that was ready be away at the moment at
// which the last one is settled: it is waited for.
func TestProcessLostDuringStartUp(t *testing.T) {
	dir := home(t, "tcp")
	misfit(t, dir, "never")
	s, err := load(t, dir, `
service_type: [{name: never}]
active_service:
  - {id: 9, service_type: never, processes: 2, restart: {limit: 1}}
  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0, processes: 1, restart: {delay: 2500ms}}
timeouts: {start: 1s, stop: 1s}
`)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	for generation := 1; generation <= 2; generation++ {
		p := r.process(3, "ready", func(p ProcessStatus) bool { return p.State == "ready" && p.Generation == generation })
		signal(t, p.PID, syscall.SIGKILL)
	}
	r.process(2, "failed", inState("failed"))
	if p := r.process(3, "away", func(p ProcessStatus) bool { return p.State != "ready" }); p.State != "backoff" {
		t.Fatalf("process 3 is %s; the test is too slow", p.State)
	}
	if st := r.awaitReady(); st.Services[1].State != "ready" || st.State != "ready" {
		t.Errorf("ready with %+v", st.Services[1])
	}
}

// TestNobodyBecomesReady ends with the cause.
func TestNobodyBecomesReady(t *testing.T) {
	dir := home(t)
	misfit(t, dir, "never")
	s, err := load(t, dir, `
service_type: [{name: never}]
active_service:
  - {id: 8, service_type: never, name: good, processes: 1}
  - {id: 9, service_type: never, name: bad, processes: 1, restart: {limit: 2, delay: 10ms}}
timeouts: {start: 1s, stop: 1s}
`)
	if err != nil {
		t.Fatal(err)
	}
	err = run(t, s).awaitEnd()
	if ExitCode(err) != 1 || !strings.Contains(err.Error(), "service bad") || !strings.Contains(err.Error(), "not ready within 1s") {
		t.Errorf("exit %d: %v", ExitCode(err), err)
	}
	leftNothing(t, dir)
}

// TestStopTogether shows the processes of a stop draining, none of them restarted, and
// that Kill cuts it short.
func TestStopTogether(t *testing.T) {
	dir := home(t, "tcp")
	s, err := load(t, dir, `
active_service:
  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0, processes: 3}
timeouts: {drain: 1h, stop: 1h}
`)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	st := r.awaitReady()
	freeze(t, st.Services[0].Processes[0].PID) // will not drain
	r.stop()
	r.process(1, "draining", inState("draining"))
	p := r.process(2, "draining", inState("draining"))
	if st := r.Status(); st.State != "draining" {
		t.Errorf("the server is %s", st.State)
	}
	signal(t, p.PID, syscall.SIGKILL)
	if p := r.process(2, "gone", func(p ProcessStatus) bool { return p.PID == 0 }); p.State != "stopped" || p.Generation != 1 {
		t.Errorf("a process that crashed in the drain is %s in generation %d", p.State, p.Generation)
	}
	r.process(3, "kept", inState("draining")) // it may owe something to process 1
	r.Kill()
	if err := r.awaitEnd(); err != nil {
		t.Error(err)
	}
	leftNothing(t, dir)
}

// TestKillBeforeTheStart kills what is not there yet.
func TestKillBeforeTheStart(t *testing.T) {
	dir := home(t, "tcp")
	s, err := load(t, dir, "active_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0}\n")
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	leftNothing(t, dir)
}

// leftNothing looks for processes of the plugins in dir, and for the runtime directory.
func leftNothing(t *testing.T, dir string) {
	t.Helper()
	images, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		if to, err := os.Readlink(image); err == nil && strings.HasPrefix(to, dir+"/") {
			t.Errorf("%s is left: %s", image, to)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); !os.IsNotExist(err) {
		t.Errorf("the runtime directory is left: %v", err)
	}
}
