package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKillAndComeBack kills every process of every service once: each comes back
// under its process id, siblings keep pid and clients.
func TestKillAndComeBack(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	for _, name := range []string{"udp", "tcp", "unix"} {
		for i := range 2 {
			before := s.service(name).Processes
			if err := syscall.Kill(before[i].PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, name+" is back", func() bool {
				p := s.service(name).Processes[i]
				return p.State == "ready" && p.Generation == before[i].Generation+1 && p.Restarts == before[i].Restarts+1 &&
					p.LastExit != nil && p.LastExit.Signal != nil && *p.LastExit.Signal == "SIGKILL"
			})
			if after := s.service(name).Processes[1-i]; after.PID != before[1-i].PID {
				t.Errorf("%s: the sibling of the killed process was restarted too", name)
			}
		}
	}
	c := dial(t, "tcp", s.service("tcp").Address)
	c.ask(`{"type":"ping","id":1}`).want(t, "type", "pong")
}

// TestProcessLost kills the process of the destination while a receipt is owed.
func TestProcessLost(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	from := dial(t, "unix", s.service("unix").Address)
	to := dial(t, "tcp", s.service("tcp").Address)
	id := to.whoami()
	process := fmt.Sprint(to.ask(`{"type":"whoami"}`)["process_id"])
	for _, p := range s.service("tcp").Processes {
		if fmt.Sprint(p.ProcessID) != process {
			continue
		}
		freeze(t, p.PID)
		from.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":1,"id":1}`, id))
		// The manager answers this behind the message, which it has routed by then.
		from.ask(`{"entity":"service","entity_id":99,"message":1,"id":2}`).want(t, "code", "no_such_entity", "id", "2")
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	from.receive().want(t, "type", "error", "code", "process_lost", "id", "1")
}

// TestStopLeavesNothing ends the server under load and looks for what it left.
func TestStopLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	idle := dial(t, "tcp", s.service("tcp").Address)
	idle.ask(`{"type":"ping"}`)
	var pids []int
	var paths []string
	for _, svc := range s.status().Services {
		if strings.HasPrefix(svc.Address, "/") {
			paths = append(paths, svc.Address)
		}
		for _, p := range svc.Processes {
			pids = append(pids, p.PID)
		}
	}
	if len(pids) != 7 {
		t.Fatalf("%d processes, want 7", len(pids))
	}
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("an idle connection held up the stop for %s", took)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("antano ended with %d\n%s", code, s.stderr)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	left, err := os.ReadDir(s.runtimeDir())
	if err == nil && len(left) > 0 {
		t.Errorf("the runtime directory still has %v", left)
	}
}

// TestKilledManagerTakesItsPluginsAlong leaves no orphan behind a SIGKILL where none is
// to be adopted, and a successor starts in the same runtime directory.
func TestKilledManagerTakesItsPluginsAlong(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices+"adoption_window: 0s\n")
	var pids []int
	for _, svc := range s.status().Services {
		for _, p := range svc.Processes {
			pids = append(pids, p.PID)
		}
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	eventually(t, "the plugins are gone", func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	params, err := os.ReadFile(filepath.Join(s.dir, "params.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	next := start(t, strings.ReplaceAll(string(params), "RUNTIME", s.runtimeDir()), "--runtime-dir", s.runtimeDir())
	dial(t, "unix", filepath.Join(s.runtimeDir(), "u.sock")).ask(`{"type":"ping"}`).want(t, "type", "pong")
	next.stop()
}

// TestKilledManagerLeavesNoFloodingOrphan has a plugin write its log without end, so
// that it stands in a write that nobody reads when the manager is gone.
func TestKilledManagerLeavesNoFloodingOrphan(t *testing.T) {
	t.Parallel()
	s := start(t, `
service_type: [{name: endless}]
active_service:
  - {id: 9, service_type: endless, name: endless, processes: 2}
adoption_window: 1s
`, pluginDirs(t, "endless")...)
	pids := []int{s.service("endless").Processes[0].PID, s.service("endless").Processes[1].PID}
	freeze(t, s.cmd.Process.Pid) // the FIFO fills up
	eventually(t, "the flooding process stands in a write", func() bool {
		for _, pid := range pids {
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", pid))
			for _, task := range tasks {
				if b, err := os.ReadFile(task); err == nil && strings.Contains(string(b), "pipe_write") {
					return true
				}
			}
		}
		return false
	})
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	eventually(t, "the plugins are gone", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
}

// TestCrashLoop gives one service a plugin that cannot stay: it becomes failed, the
// others serve on.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"udp", "tcp", "unix"} {
		if err := os.Symlink(filepath.Join(binDir, "plugins", "antano-service-"+name), filepath.Join(dir, "antano-service-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: good, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: bad, host: 127.0.0.1, port: 0, processes: 2}
restart: {delay: 10ms, max_delay: 20ms, limit: 3, window: 30s, probe: 1h}
`, "--plugin-dir", dir)
	eventually(t, "process 2 is failed", func() bool {
		p := s.service("bad").Processes[0]
		if p.State == "failed" {
			return true
		}
		if p.PID > 0 {
			_ = syscall.Kill(p.PID, syscall.SIGSEGV)
		}
		return false
	})
	bad := s.service("bad")
	if bad.State != "degraded" || bad.Processes[1].State != "ready" {
		t.Errorf("the service is %s, the sibling %s", bad.State, bad.Processes[1].State)
	}
	dial(t, "tcp", bad.Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
	dial(t, "tcp", s.service("good").Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
}

// TestSlowClient has one client that never reads and one that sends a byte at a
// time: nobody else notices, and the sender is told `overloaded`.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	s := start(t, `
active_service:
  - {id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2, limits: {client_queue_bytes: 65536, max_message_bytes: 65536}}
`)
	address := s.service("tcp").Address
	deaf, sender, other, peer := dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address), dial(t, "tcp", address)
	id, peerID := deaf.whoami(), peer.whoami()
	drip := dial(t, "tcp", address)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				if _, err := drip.conn.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}()
	payload := strings.Repeat("x", 60_000)
	overloaded := make(chan object, 1)
	go func() {
		for i := range 2000 {
			if _, err := fmt.Fprintf(sender.conn, `{"entity":"client","entity_id":%s,"message":"%s","id":%d}`+"\n", id, payload, i); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			line, err := sender.r.ReadBytes('\n')
			if err != nil {
				return
			}
			if strings.Contains(string(line), `"overloaded"`) {
				overloaded <- object{}
				return
			}
		}
	}()
	deadline := time.After(patience)
	for i := 0; ; i++ {
		began := time.Now()
		other.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":%d,"id":%d}`, peerID, i, i))
		other.receive().want(t, "type", "receipt", "delivered", "1")
		peer.receive().want(t, "message", fmt.Sprint(i))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("an unaffected pair waited %s", took)
		}
		select {
		case <-overloaded:
			return
		case <-deadline:
			t.Fatal("the sender to a client that never reads was not told overloaded")
		default:
		}
	}
}

// TestStoppedProcessHurtsNobodyElse stops one process; clients of its sibling go on.
func TestStoppedProcessHurtsNobodyElse(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	clients := map[string]*client{}
	for len(clients) < 2 {
		c := dial(t, "tcp", s.service("tcp").Address)
		clients[fmt.Sprint(c.ask(`{"type":"whoami"}`)["process_id"])] = c
	}
	p := s.service("tcp").Processes
	stopped, other := clients[fmt.Sprint(p[0].ProcessID)], clients[fmt.Sprint(p[1].ProcessID)]
	id := stopped.whoami()
	freeze(t, p[0].PID)
	defer func() { _ = syscall.Kill(p[0].PID, syscall.SIGCONT) }()
	unix := dial(t, "unix", s.service("unix").Address)
	unix.ask(`{"type":"join","entity":"room","entity_id":1}`).want(t, "type", "joined")
	for i := range 20 {
		other.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":1}`, id))
		other.ask(fmt.Sprintf(`{"entity":"room","entity_id":1,"message":%d,"id":%d}`, i, i)).want(t, "type", "receipt")
		unix.receive().want(t, "message", fmt.Sprint(i))
	}
	other.ask(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":1,"id":"late"}`, id)).want(t, "type", "error", "id", "late")
	fresh := dial(t, "tcp", s.service("tcp").Address) // a stopped process takes no connection
	fresh.ask(`{"type":"ping"}`).want(t, "type", "pong")
}

// TestExitCodes asks for each way in which a command can fail.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir, err := os.MkdirTemp("", "ae")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	port := taken.Addr().(*net.TCPAddr).Port
	bad := file("bad.yaml", "active_service:\n  - {id: 1, service_type: tcp, prot: 1}\n  - {id: 1, service_type: nope, port: 0}\n")
	inUse := file("inuse.yaml", fmt.Sprintf("active_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: %d}\n", port))
	both := file("both.yaml", fmt.Sprintf("active_service:\n  - {id: 1, name: one, service_type: tcp, host: 127.0.0.1, port: %d}\n  - {id: 2, name: two, service_type: unix, endpoint: /dev/null}\n", port))
	good := file("good.yaml", "active_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0}\n")
	two := file("two.yaml", "antano_server:\n  - {id: 1, name: a}\n  - {id: 2, name: b}\nactive_service:\n  - {id: 1, service_type: tcp, host: 127.0.0.1, port: 0}\n")
	empty := filepath.Join(dir, "empty")
	notExecutable := filepath.Join(dir, "plain")
	for _, d := range []string{empty, notExecutable} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file("plain/antano-service-tcp", "#!/bin/sh\n")
	wrongArch := filepath.Join(dir, "arch")
	if err := os.Mkdir(wrongArch, 0o755); err != nil {
		t.Fatal(err)
	}
	crossBuild(t, filepath.Join(wrongArch, "antano-service-tcp"))
	rt := filepath.Join(dir, "r")
	for _, test := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"no command", []string{"frobnicate"}, 2, []string{"frobnicate"}},
		{"unknown flag", []string{"run", "--nope"}, 2, []string{"--nope"}},
		{"log level", []string{"run", "-l", "loud"}, 2, []string{"loud"}},
		{"several servers", []string{"validate", "--params", two}, 2, []string{"--id"}},
		{"no params file", []string{"validate", "--params", filepath.Join(dir, "none")}, 78, []string{"none"}},
		{"bad params", []string{"validate", "--params", bad}, 78, []string{"bad.yaml:2", "prot", "bad.yaml:3", "nope", "port"}},
		{"run refuses the same", []string{"run", "--params", bad}, 78, []string{"bad.yaml:2"}},
		{"no plugin", []string{"validate", "--params", good, "--plugin-dir", empty}, 78, []string{"antano-service-tcp", empty}},
		{"not executable", []string{"validate", "--params", good, "--plugin-dir", notExecutable}, 78, []string{"chmod"}},
		{"wrong architecture", []string{"validate", "--params", good, "--plugin-dir", wrongArch}, 78, []string{"arch"}},
		{"port in use", []string{"run", "-d", "--params", inUse}, 1, []string{fmt.Sprint(port), "in use"}},
		{"all ports in use", []string{"run", "-d", "--params", both}, 1, []string{"service one", "service two"}},
		{"validate sees the port", []string{"validate", "--params", inUse}, 1, []string{fmt.Sprint(port), "in use"}},
		{"no server", []string{"status"}, 1, []string{rt}},
		{"good", []string{"validate", "--params", good}, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := test.args
			if args[0] == "run" || args[0] == "validate" || args[0] == "status" {
				args = append(args, "--runtime-dir", rt)
			}
			out, errs, code := antano(t, "", args...)
			if code != test.code {
				t.Errorf("exit %d, want %d\n%s%s", code, test.code, out, errs)
			}
			for _, s := range test.says {
				if !strings.Contains(errs, s) {
					t.Errorf("standard error does not say %q:\n%s", s, errs)
				}
			}
			if _, err := os.Stat(filepath.Join(rt, "control.sock")); err == nil {
				t.Error("a socket is left")
			}
		})
	}
}

// crossBuild leaves an executable for another machine at path.
func crossBuild(t *testing.T, path string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", path, "../../plugins/tcp")
	cmd.Env = append(os.Environ(), "GOARCH=riscv64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build for another machine: %v\n%s", err, out)
	}
}

// TestSecondManagerIsRefused names the first one.
func TestSecondManagerIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, threeServices)
	params := filepath.Join(s.dir, "params.yaml")
	_, errs, code := antano(t, "", "run", "-d", "--params", params, "--runtime-dir", s.runtimeDir())
	if code != 1 || !strings.Contains(errs, fmt.Sprint(s.cmd.Process.Pid)) {
		t.Errorf("exit %d: %s", code, errs)
	}
	dial(t, "tcp", s.service("tcp").Address).ask(`{"type":"ping"}`).want(t, "type", "pong")
}
