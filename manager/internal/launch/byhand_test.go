package launch

import (
	"context"
	"errors"
	"os"

	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hand starts what ByHand waits for, in a process group of its own, with what mode says
// is wrong with it. The first of two values counts.
func hand(t *testing.T, s Spec, socket, mode string) {
	env, fds, conn, err := TakeHand(t.Context(), socket)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	files := []uintptr{0, 1, 2}
	for _, fd := range fds {
		files = append(files, uintptr(fd))
		defer syscall.Close(fd)
	}
	pid, err := syscall.ForkExec(s.Path, []string{s.Path}, &syscall.ProcAttr{
		Env: append([]string{childKey + "=" + mode}, env...), Files: files, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		t.Error(err)
		return
	}
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, 0, nil)
}

// A process that somebody else starts is called and ended like any other.
func TestByHand(t *testing.T) {
	s := spec(t, "")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s.Files = []File{{Name: "null", FD: int(null.Fd())}}
	forked := make(chan *Process, 1)
	s.Forked = func(p *Process) { forked <- p }
	ended := make(chan struct{})
	p, err := ByHand(t.Context(), s, func(socket string) {
		go func() {
			defer close(ended)
			hand(t, s, socket, "as asked")
		}()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := <-forked; got != p {
		t.Error("another process was told")
	}
	if d, err := p.Describe(t.Context()); err != nil || d.Name != "child" {
		t.Errorf("description %+v, %v", d, err)
	}
	env, err := os.ReadFile("/proc/" + p.run.ID() + "/environ")
	if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), "LISTEN_FDNAMES=null") {
		t.Errorf("environment %q, %v", env, err)
	}
	p.Kill()
	await(t, p.Done(), "the end of the process")
	await(t, ended, "the end of the hand")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.Dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A hand that fails at any step leaves nothing.
func TestByHandFails(t *testing.T) {
	for name, waiting := range map[string]func(s Spec, socket string, cancel func()){
		"nobody comes":  func(_ Spec, _ string, cancel func()) { cancel() },
		"no plugin":     func(s Spec, socket string, _ func()) { go hand(t, s, socket, "exit:0") },
		"taken and put": func(_ Spec, socket string, _ func()) { go put(t, socket) },
		"given up": func(s Spec, socket string, cancel func()) {
			go func() {
				_, fds, conn, err := TakeHand(context.Background(), socket)
				if err != nil {
					t.Error(err)
					return
				}
				closeAll(fds)
				cancel()
				_, _ = conn.Read(make([]byte, 1)) // the server ends it
				conn.Close()
			}()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(t, "")
			before := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p, err := ByHand(ctx, s, func(socket string) { waiting(s, socket, cancel) })
			if err == nil {
				p.Close()
				t.Fatal("it came up")
			}
			var e *Error
			if !errors.As(err, &e) || e.Path != s.Path {
				t.Errorf("error %v", err)
			}
			if left, _ := os.ReadDir(s.Dir); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			pollOpen(t, before)
		})
	}
}

func put(t *testing.T, socket string) {
	_, fds, conn, err := TakeHand(t.Context(), socket)
	if err != nil {
		t.Error(err)
		return
	}
	closeAll(fds)
	conn.Close()
}

func closeAll(fds []int) {
	for _, fd := range fds {
		syscall.Close(fd)
	}
}

// pollOpen waits until no more descriptors are open than before: the hand's own end
// closes in its own time.
func pollOpen(t *testing.T, before int) {
	t.Helper()
	for range 500 {
		if open(t) <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d descriptors are open, %d before", open(t), before)
}
