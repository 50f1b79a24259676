package manager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// The tests of this file show the functions of the seed that the manager took over;
// docs/seed-mapping.md lists all. They run the real plugins.

const patience = 20 * time.Second

// built holds the plugins that tests run, each built once.
var built struct {
	dir     string
	plugins sync.Map // name → func() error
}

func TestMain(m *testing.M) {
	code := 1
	dir, err := os.MkdirTemp("", "am")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		built.dir = dir
		code = m.Run()
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// plugin returns the file of a plugin, which no test changes.
func plugin(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(built.dir, name)
	once, _ := built.plugins.LoadOrStore(name, sync.OnceValue(func() error {
		out, err := exec.Command("go", "build", "-o", file, "../plugins/"+name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("build plugin %s: %w\n%s", name, err, out)
		}
		return nil
	}))
	if err := once.(func() error)(); err != nil {
		t.Fatal(err)
	}
	return file
}

// home is a directory for params, plugins and a runtime directory, short enough for
// socket paths.
func home(t *testing.T, plugins ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "am")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, p := range plugins {
		file := plugin(t, p)
		if err := os.MkdirAll(filepath.Join(dir, "plugins"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(file, filepath.Join(dir, "plugins", shared.PluginPrefix+p)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, dir, params string) (*Server, error) {
	t.Helper()
	return loadWith(t.Context(), t, dir, params)
}

func loadWith(ctx context.Context, t *testing.T, dir, params string) (*Server, error) {
	t.Helper()
	file := filepath.Join(dir, "params.yaml")
	if err := os.WriteFile(file, []byte(params), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(ctx, Config{
		Params: file, PluginDirs: []string{filepath.Join(dir, "plugins")}, RuntimeDir: filepath.Join(dir, "run"),
		Version: "test", Logger: hclog.NewNullLogger(),
	})
}

// TestGetService assembles services from rows with the seed's own keys: the sockets
// are open before any process exists, and closed when assembling fails.
func TestGetService(t *testing.T) {
	dir := home(t, "tcp")
	s, err := load(t, dir, `
active_service:
  - {id: 2, antano_server_id: 1, service_type_id: 2, port: 0, host: 127.0.0.1, endpoint: "", message_format_in_id: 1, message_format_out_id: 1}
`)
	if err != nil {
		t.Fatal(err)
	}
	row := s.Plan().Services[0]
	svc, err := GetService(row, s)
	if err != nil {
		t.Fatal(err)
	}
	defer svc.close()
	conn, err := net.Dial("tcp", svc.address())
	if err != nil {
		t.Fatalf("the service of id %d does not listen: %v", row.Params.ID, err)
	}
	conn.Close()
	if n := len(svc.processes()); n != 2 {
		t.Errorf("%d processes, want the two of num_of_process", n)
	}
	_, port, _ := net.SplitHostPort(svc.address())
	fmt.Sscan(port, &row.Params.Port)
	if _, err := GetService(row, s); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second service on %s: %v", svc.address(), err)
	}
}

// TestGetServiceNeedsItsPlugin asks for a type that nobody installed.
func TestGetServiceNeedsItsPlugin(t *testing.T) {
	_, err := load(t, home(t), "active_service:\n  - {id: 1, service_type: tcp, port: 0}\n")
	if ExitCode(err) != shared.ExitConfig || !strings.Contains(fmt.Sprint(err), "params.yaml:2") {
		t.Errorf("exit %d: %v", ExitCode(err), err)
	}
}

// TestRunProcesses runs services as often as params say, and ends all processes with
// its context.
func TestRunProcesses(t *testing.T) {
	dir := home(t, "tcp", "unix")
	s, err := load(t, dir, `
num_of_process: 3
active_service:
  - {id: 7, service_type: tcp, name: many, host: 127.0.0.1, port: 0}
  - {id: 8, service_type: tcp, name: one, host: 127.0.0.1, port: 0, processes: 1}
`)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan Status, 1)
	s.cfg.OnReady = func(st Status) { ready <- st }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var st Status
	select {
	case st = <-ready:
	case err := <-ended:
		t.Fatalf("ended before it was ready: %v", err)
	case <-time.After(patience):
		t.Fatal("not ready in time")
	}
	pids := map[int]int{} // by process id
	for i, want := range []int{3, 1, 1} {
		svc := st.Services[i]
		if len(svc.Processes) != want || svc.State != "ready" {
			t.Errorf("service %s is %s with %d processes, want %d", svc.Name, svc.State, len(svc.Processes), want)
		}
		for _, p := range svc.Processes {
			pids[p.ProcessID] = p.PID
		}
	}
	if len(pids) != 5 || pids[0] == 0 || pids[4] == 0 {
		t.Errorf("process ids and pids are %v", pids)
	}
	internalAnswers(t, st.Services[2], filepath.Join(dir, "run"))
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("not stopped in time")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d is left: %v", pid, err)
		}
	}
}

// internalAnswers talks to the internal service as a local program does.
func internalAnswers(t *testing.T, svc ServiceStatus, runtimeDir string) {
	t.Helper()
	if svc.ID != 0 || svc.Processes[0].ProcessID != 0 || svc.Type != "unix" {
		t.Errorf("the internal service is %+v", svc)
	}
	st, err := os.Stat(svc.Address)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("its socket: %v, %v", st, err)
	}
	control, err := Connect(runtimeDir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := control.DialInternal()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(conn, `{"type":"whoami","id":1}`)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, `"service_id":0,"process_id":0`) {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestStartInternalService returns the params of the service, which local programs
// need to find it, and an error where no plugin can run it.
func TestStartInternalService(t *testing.T) {
	var running sync.WaitGroup
	if _, err := StartInternalService(t.Context(), &Server{}, &running); err == nil || !strings.Contains(err.Error(), "antano-service-unix") {
		t.Errorf("without a unix plugin: %v", err)
	}
	p := internalService("/run/antano/1", 1, Plugin{}, params.Restart{}).Params
	if p.ID != 0 || p.Endpoint != "/run/antano/1/internal.sock" || p.Mode != 0o600 || p.SocketType != shared.SocketStream {
		t.Errorf("params %+v", p)
	}
}
