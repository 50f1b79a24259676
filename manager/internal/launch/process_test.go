package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

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
