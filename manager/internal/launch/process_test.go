package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
)

const isARM64 = runtime.GOARCH == "arm64"

func startRequest() control.Start {
	s := control.Start{
		Identity: shared.Identity{ServerID: 1, ServiceID: 2, ProcessID: 3, Generation: 1, Service: "chat"},
		Params: shared.ServiceParams{
			ID: 2, ServiceType: "child", Name: "chat", MessageFormatIn: 1, MessageFormatOut: 1, Limits: shared.DefaultLimits(),
		},
		RelaySocket: "/run/relay.sock", ShareRows: 1,
	}
	s.Secret[31] = 31
	return s
}

// TestForked looks at a process that has not said anything yet.
func TestForked(t *testing.T) {
	for _, mode := range []string{"good", "wrong-version"} {
		s := spec(t, mode)
		pid, told := 0, 0
		s.Forked = func(p *Process) {
			told++
			pid = p.PID()
			if !IsRunning(pid, p.StartTime()) {
				t.Errorf("%s: pid %d does not run", mode, pid)
			}
			if at := p.Socket(); at != "" {
				t.Errorf("%s: serves on %s before its handshake", mode, at)
			}
		}
		p, err := Start(t.Context(), s)
		if told != 1 || pid == 0 {
			t.Errorf("%s: told %d times, pid %d", mode, told, pid)
		}
		if err != nil {
			continue
		}
		if p.PID() != pid || filepath.Dir(p.Socket()) != s.Dir {
			t.Errorf("%s: pid %d was %d, serves on %q", mode, p.PID(), pid, p.Socket())
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLifeOfAProcess(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx := context.Background()
	p, err := Start(ctx, spec(t, "good"))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := p.Describe(ctx); err != nil || d.Name != "child" {
		t.Errorf("described as %+v, %v", d, err)
	}
	if err := p.Start(ctx, startRequest()); err != nil {
		t.Error(err)
	}
	var ids []shared.ClientID
	if err := p.Clients(ctx, func(c control.Client) { ids = append(ids, c.ID) }); err != nil || len(ids) != 3 {
		t.Errorf("clients %v, %v", ids, err)
	}
	if n, err := p.Drain(ctx, 7*time.Second); err != nil || n != 7 {
		t.Errorf("drain: %d, %v", n, err)
	}
	if e := p.Exit(); e.Code != 0 || !e.At.IsZero() {
		t.Errorf("exit %+v before the exit", e)
	}
	if err := p.Stop(ctx); err != nil {
		t.Error(err)
	}
	await(t, p.Done(), "the exit after Stop")
	if e := p.Exit(); e.Code != 0 || e.Signal != "" || e.Uptime <= 0 || e.At.IsZero() {
		t.Errorf("exit %+v", e)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, ErrExited) {
		t.Errorf("a signal after the exit: %v", err)
	}
	if _, err := p.Describe(ctx); !errors.Is(err, ErrExited) {
		t.Errorf("describe after the exit: %v", err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	leftover(t, p.run.spec.Dir)
}

func TestCallsThatFail(t *testing.T) {
	tests := map[string]struct {
		is   error
		says string
	}{
		"describe-rubbish": {ErrRefused, "carrier pigeon"},
		"describe-hang":    {ErrTimeout, "describe plugin"},
		"describe-exit":    {ErrExited, "code 3"},
		"describe-error":   {ErrRefused, "the disk [31m is full"},
	}
	for mode, tt := range tests {
		t.Run(mode, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			p, err := Start(context.Background(), spec(t, mode))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			limit := 10 * time.Second
			if tt.is == ErrTimeout {
				limit = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			if _, err = p.Describe(ctx); !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %q", err, tt.is, tt.says)
			}
		})
	}
}

func TestStoppedProcess(t *testing.T) {
	p := start(t, spec(t, "good"))
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awaitState(t, p.PID(), "T")
	for name, call := range map[string]func(context.Context) error{
		"drain":    func(ctx context.Context) error { _, err := p.Drain(ctx, time.Second); return err },
		"stop":     p.Stop,
		"describe": func(ctx context.Context) error { _, err := p.Describe(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		if err := call(ctx); !errors.Is(err, ErrTimeout) {
			t.Errorf("%s of a stopped process: %v", name, err)
		}
		cancel()
	}
	begin := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("close took %v", took)
	}
	if e := p.Exit(); e.Signal != "SIGKILL" || e.Code != -1 {
		t.Errorf("exit %+v", e)
	}
}

func TestStopCanBeIgnored(t *testing.T) {
	p := start(t, spec(t, "stop-ignored"))
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Done():
		t.Fatalf("it exited: %+v", p.Exit())
	default:
	}
	p.Kill()
	await(t, p.Done(), "the exit after Kill")
}

// state is the letter of a process in /proc; empty when it is gone.
func state(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	letter, _, _ := strings.Cut(after, " ")
	return letter
}

// awaitState polls until the process has one of the states. A signal has been sent
// before it is acted on.
func awaitState(t *testing.T, pid int, states ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !slices.Contains(states, state(pid)); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is in state %q, not one of %q", pid, state(pid), states)
		}
	}
}

func TestGrandchildDoesNotHideTheExit(t *testing.T) {
	for _, mode := range []string{"grandchild", "grandchild-session"} {
		t.Run(mode, func(t *testing.T) {
			s := spec(t, mode)
			var out <-chan string
			s.Stderr, out = collect()
			p := start(t, s)
			d, err := p.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var pid int
			fmt.Sscan(d.Version, &pid)
			t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
			begin := time.Now()
			if err := p.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			await(t, p.Done(), "the exit")
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("the exit was seen after %v", took)
			}
			<-out
			if mode == "grandchild" {
				awaitState(t, pid, "", "Z") // init may reap it later
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOutputIsDrained(t *testing.T) {
	s := spec(t, "loud")
	var stdout, stderr <-chan string
	s.Stdout, stdout = collect()
	s.Stderr, stderr = collect()
	p := start(t, s)
	// It answers though it prints far more than a pipe holds.
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	out := <-stdout
	if !strings.Contains(out, "still here") || strings.Contains(out, "|grpc|") {
		t.Errorf("stdout has %d bytes: %.80q", len(out), out)
	}
	if len(<-stderr) == 0 {
		t.Error("nothing of stderr arrived")
	}
}

// TestReadersMayGiveUp: what a callback leaves is drained all the same.
func TestReadersMayGiveUp(t *testing.T) {
	s := spec(t, "loud")
	s.Stdout = func(io.Reader) {}
	s.Stderr = func(io.Reader) {}
	p := start(t, s)
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBadJSONOnStderrHurtsNobody(t *testing.T) {
	s := spec(t, "exit:3")
	s.Path = filepath.Join(t.TempDir(), "antano-service-script")
	script := "#!/bin/sh\necho '{\"@message\": 1, \"@level\": []}' >&2\nexit 3\n"
	if err := os.WriteFile(s.Path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), s)
	if !errors.Is(err, ErrExited) || !strings.Contains(err.Error(), `{"@message": 1`) {
		t.Errorf("got %v", err)
	}
}

// What a plugin prints through go-plugin arrives, each line whole and with its stream.
func TestPrintsThroughStdioArrive(t *testing.T) {
	s := spec(t, "print")
	got := make(chan string, 16)
	lines := func(stream string) func(io.Reader) {
		return func(r io.Reader) {
			for in := bufio.NewScanner(r); in.Scan(); {
				got <- stream + in.Text()
			}
		}
	}
	s.Stdout, s.Stderr = lines("out: "), lines("err: ")
	p := start(t, s)
	if _, err := p.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"out: printed through stdio": true, "err: complained through stdio": true}
	for timeout := time.After(10 * time.Second); len(want) > 0; {
		select {
		case line := <-got:
			delete(want, line)
		case <-timeout:
			t.Fatalf("did not arrive: %v", want)
		}
	}
}

func TestWhatAPluginSees(t *testing.T) {
	t.Setenv("SECRET_OF_THE_HOST", "1")
	t.Setenv("LC_TEST", "x")
	s := spec(t, "report")
	file, err := os.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s.Binary = file
	s.Files = []File{{Name: "tcp", FD: 0}, {Name: "share", FD: 0}}
	p := start(t, s)
	d, err := p.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var saw struct{ Env, Argv string }
	if err := json.Unmarshal(d.Settings, &saw); err != nil {
		t.Fatal(err)
	}
	if saw.Argv != s.Path {
		t.Errorf("argv[0] is %q", saw.Argv)
	}
	env := strings.Split(saw.Env, "\n")
	has := func(kv string) bool {
		n := 0
		for _, e := range env {
			if e == kv {
				n++
			}
		}
		return n == 1
	}
	for _, kv := range []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=tcp:share", socketDirKey + "=" + s.Dir, "LC_TEST=x", shared.CookieKey + "=" + shared.CookieValue} {
		if !has(kv) {
			t.Errorf("the environment has no %s: %q", kv, env)
		}
	}
	if strings.Contains(saw.Env, "SECRET_OF_THE_HOST") || strings.Contains(saw.Env, "LISTEN_PID") {
		t.Errorf("the environment has too much: %q", env)
	}
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID())); err != nil || exe != s.Path {
		t.Errorf("/proc/pid/exe is %q, %v", exe, err)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
	if want := filepath.Base(s.Path); err != nil || !strings.HasPrefix(want, strings.TrimSpace(string(comm))) {
		t.Errorf("ps shows %q, %v", comm, err)
	}
	if stdin, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", p.PID())); err != nil || stdin != os.DevNull {
		t.Errorf("stdin is %q, %v", stdin, err)
	}
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("process group %d, %v", group, err)
	}
}

// TestReplacedFile: the file that was opened is executed, whatever has its name.
func TestReplacedFile(t *testing.T) {
	s := spec(t, "good")
	file, err := os.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s.Binary = file
	s.Path = filepath.Join(t.TempDir(), "antano-service-child")
	if err := os.WriteFile(s.Path, []byte("rubbish"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, s).Describe(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSocketsStayNonBlocking: a launch must not clear the flag that all processes
// share.
func TestSocketsStayNonBlocking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var fd int
	raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 3) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	nonBlocking := func(pid int) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/3", pid))
		if err != nil {
			t.Fatal(err)
		}
		var flags int
		for line := range strings.Lines(string(b)) {
			fmt.Sscanf(line, "flags: %o", &flags)
		}
		return flags&unix.O_NONBLOCK != 0
	}
	withSocket := func() Spec {
		s := spec(t, "good")
		s.Files = []File{{Name: "tcp", FD: fd}}
		return s
	}
	first := start(t, withSocket())
	if !nonBlocking(first.PID()) {
		t.Fatal("the socket arrived as a blocking one")
	}
	if err := start(t, withSocket()).Close(); err != nil {
		t.Fatal(err)
	}
	start(t, withSocket())
	if !nonBlocking(first.PID()) {
		t.Error("a sibling's restart made the socket blocking")
	}
}

// TestRestartsStayFlat: nothing grows with the number of restarts.
func TestRestartsStayFlat(t *testing.T) {
	n := 1000
	if testing.Short() || raceEnabled {
		n = 50
	}
	measure := func() (goroutines, fds int, heap uint64) {
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
			if goroutines = runtime.NumGoroutine(); goroutines <= 4 {
				break
			}
		}
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return goroutines, len(entries), m.HeapAlloc
	}
	s := spec(t, "good")
	once := func(i int) {
		p, err := Start(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			p.Kill()
			await(t, p.Done(), "the exit")
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		once(i)
	}
	g0, f0, h0 := measure()
	for i := range n {
		once(i)
	}
	g1, f1, h1 := measure()
	t.Logf("%d restarts: goroutines %d → %d, descriptors %d → %d, heap %d → %d KiB", n, g0, g1, f0, f1, h0>>10, h1>>10)
	if g1 > g0+1 || f1 > f0 || h1 > h0+512<<10 {
		t.Error("something grows")
	}
	leftover(t, s.Dir)
}
