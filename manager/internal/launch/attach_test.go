package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/antano/antano/manager/internal/event"
)

// runManager is a manager that launches a plugin in dir and says how it can be found.
func runManager(dir string) {
	exe, _ := os.Executable()
	p, err := Start(context.Background(), Spec{Path: exe, Dir: dir, Env: []string{childKey + "=adopt me"}})
	if err != nil {
		panic(err)
	}
	b, _ := json.Marshal(map[string]any{"PID": p.PID(), "StartTime": p.StartTime(), "Socket": p.Socket(), "StartedAt": p.StartedAt()})
	fmt.Println(string(b))
	select {}
}

// orphan is a plugin whose manager was killed.
func orphan(t *testing.T) Running {
	t.Helper()
	s := spec(t, "")
	manager := exec.Command(s.Path)
	manager.Env = append(os.Environ(), childKey+"=manager:"+s.Dir)
	manager.Stderr = os.Stderr
	out, err := manager.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	manager.Process.Kill()
	manager.Wait()
	r := Running{Path: s.Path, Dir: s.Dir}
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-r.PID, syscall.SIGKILL) })
	return r
}

// A process of a manager that was killed is called, read and ended by the next one.
func TestAttach(t *testing.T) {
	r := orphan(t)
	stdout, printed := collect()
	r.Stdout = stdout
	p, err := Attach(r)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if d, err := p.Describe(t.Context()); err != nil || d.Name != "child" {
		t.Errorf("description %+v, %v", d, err)
	}
	if p.StartTime() != r.StartTime || p.Socket() != r.Socket || p.PID() != r.PID {
		t.Errorf("%d %d %s, want %+v", p.PID(), p.StartTime(), p.Socket(), r)
	}
	p.Kill()
	await(t, p.Done(), "the end of the process")
	if got := <-printed; !strings.Contains(got, "still here") {
		t.Errorf("it printed %q", got)
	}
	if e := p.Exit(); e.Code != -1 || !strings.Contains(e.Cause, "exit status unknown") {
		t.Errorf("exit %+v", e)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, ErrExited) {
		t.Errorf("signal to a dead process: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(r.Dir); len(left) > 0 {
		t.Errorf("%s is left", filepath.Join(r.Dir, left[0].Name()))
	}
}

// Stop ends an adopted process as any other.
func TestStopAttached(t *testing.T) {
	p, err := Attach(orphan(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Stop(t.Context()); err != nil && !errors.Is(err, ErrExited) {
		t.Error(err)
	}
	await(t, p.Done(), "the end of the process")
}

// Another process with the pid is not taken for it, nor is a dead one, nor one whose
// output cannot be read; all are left alone.
func TestAttachRefuses(t *testing.T) {
	r := orphan(t)
	for name, change := range map[string]func(*Running){
		"another start":  func(r *Running) { r.StartTime++ },
		"ended":          func(r *Running) { r.PID = ended(t) },
		"no such output": func(r *Running) { r.Dir = t.TempDir() },
	} {
		other := r
		change(&other)
		before := open(t)
		if p, err := Attach(other); err == nil {
			t.Errorf("%s: adopted", name)
			p.Close()
		}
		if after := open(t); after != before {
			t.Errorf("%s: %d descriptors, %d before", name, after, before)
		}
	}
	if !IsRunning(r.PID, r.StartTime) || IsRunning(r.PID, r.StartTime+1) || IsRunning(ended(t), 1) {
		t.Error("IsRunning is wrong")
	}
}

// ended is the pid of a zombie of ours.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; {
		if _, err := startTime(cmd.Process.Pid); errors.Is(err, ErrExited) {
			return cmd.Process.Pid
		}
		if time.Now().After(deadline) {
			t.Fatal("true does not end")
		}
	}
}

func open(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// A child that this process launched before it executed another binary is reaped, with
// its exit status.
func TestAttachOwnChild(t *testing.T) {
	for text, want := range map[string]event.Exit{
		"exit 3":       {Code: 3, Cause: "exited with code 3"},
		"kill -SEGV $": {Code: -1, Signal: "SIGSEGV", Cause: "killed by SIGSEGV"},
	} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "read x; " + strings.Replace(text, "$", "$$", 1)},
			&syscall.ProcAttr{Files: []uintptr{r.Fd(), 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}})
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		start, err := startTime(pid)
		if err != nil {
			t.Fatal(err)
		}
		c, err := attachChild(pid, start, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		c.wait()
		if e := c.exit; e.Code != want.Code || e.Signal != want.Signal || e.Cause != want.Cause {
			t.Errorf("%s: exit %+v", text, e)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s: it is left: %v", text, err)
		}
	}
}
