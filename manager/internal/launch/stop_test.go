package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
