package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRunAs runs services as another user, with everything that a row can say, beside
// one of antano's own, and sends messages between them.
func TestRunAs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start processes of others")
	}
	s := newServer(t, `
num_of_process: 2
active_service:
  - id: 1
    service_type: tcp
    host: 127.0.0.1
    port: 0
    run_as: {user: 4294960001, group: 4294960002}
    umask: "0027"
    working_dir: /usr
    env: {TOPIC: weather}
    env_file: RUNTIME.env
    rlimits: {core: 0, nofile: "500:1000"}
  - {id: 2, service_type: unix, endpoint: own.sock, socket_type: stream, no_new_privs: false}
`)
	makeReachable(t, s.dir)
	if err := os.WriteFile(s.runtimeDir()+".env", []byte("TOPIC=lost\nSECRET='a b'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	st := s.status()
	for _, p := range st.Services[0].Processes {
		wantIn(t, procFile(p.PID, "status"), "\nUid:\t4294960001\t4294960001\t", "\nGid:\t4294960002\t", "\nUmask:\t0027\n", "\nNoNewPrivs:\t1\n")
		wantIn(t, procFile(p.PID, "limits"), "Max core file size        0                    0")
		wantIn(t, "\x00"+procFile(p.PID, "environ"), "\x00TOPIC=weather\x00", "\x00SECRET=a b\x00")
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.PID)); dir != "/usr" {
			t.Errorf("it runs in %q, %v", dir, err)
		}
	}
	for _, p := range st.Services[1].Processes {
		wantIn(t, procFile(p.PID, "status"), "\nUid:\t0\t0\t", "\nNoNewPrivs:\t0\n")
	}
	a := dial(t, "tcp", st.Services[0].Address)
	b := dial(t, "unix", filepath.Join(s.runtimeDir(), "own.sock"))
	a.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"hello","id":1}`, b.whoami()))
	b.receive().want(t, "message", "hello")
	a.receive().want(t, "type", "receipt", "delivered", "1")

	// After a crash and a planned restart they are as before.
	if err := syscall.Kill(st.Services[0].Processes[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready again", func() bool {
		p := s.status().Services[0].Processes[0]
		return p.State == "ready" && p.Generation == 2
	})
	for _, p := range s.status().Services[0].Processes {
		wantIn(t, procFile(p.PID, "status"), "\nUid:\t4294960001\t")
	}

	// A successor proves and adopts them.
	c := dial(t, "tcp", st.Services[0].Address)
	id, before := c.whoami(), s.status().Services[0].Processes
	s.Kill()
	next := wrap(t, s.Successor())
	next.start()
	for i, p := range next.status().Services[0].Processes {
		if p.PID != before[i].PID {
			t.Errorf("process %d was %d and is %d", p.ProcessID, before[i].PID, p.PID)
		}
	}
	if got := c.whoami(); got != id {
		t.Errorf("the client was %s and is %s", id, got)
	}
	c.send(fmt.Sprintf(`{"entity":"client","entity_id":%s,"message":"still here","id":2}`, id))
	c.receive().want(t, "message", "still here")
}

// TestRunAsThatCannotBe is told before anything starts.
func TestRunAsThatCannotBe(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("root sees other mistakes")
	}
	const row = "active_service:\n  - {id: 1, service_type: tcp, port: 0, host: 127.0.0.1, processes: 1, "
	for text, want := range map[string]string{
		"run_as: {user: no-such-user}}":                  "run_as: user no-such-user is not known",
		"run_as: {user: 4294960001}}":                    "run_as: user 4294960001 is not known",
		"working_dir: /no/such/dir}":                     "working_dir: /no/such/dir is not a directory",
		"env_file: /no/such/file}":                       "env_file: cannot be used",
		"run_as: {user: 4294960001, group: 4294960001}}": "run_as: cannot reach the runtime directory",
	} {
		s := newServer(t, row+text)
		_, stderr, code := s.antano("validate", "--params", s.Params)
		if code != 78 || !strings.Contains(stderr, "params.yaml:2: active_service[0]."+want) {
			t.Errorf("%s: exit %d, %s", text, code, stderr)
		}
	}
	s := newServer(t, row+"run_as: {user: nobody}, umask: '0077', env: {SECRET: x}}")
	makeReachable(t, s.dir)
	stdout, stderr, code := s.antano("validate", "--params", s.Params)
	if code != 0 || !strings.Contains(stdout, "service 1 tcp runs with env 1 variables, run_as nobody (uid ") || !strings.Contains(stdout, "umask 0077") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// makeReachable lets everybody pass through a directory of the test.
func makeReachable(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
}

func procFile(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return string(text)
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}
