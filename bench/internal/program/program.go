// Package program runs the other programs of a benchmark: it starts one, waits until it
// answers, and ends it. None of them outlives the benchmark, whatever ends that.
package program

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Patience bounds the wait for a program to answer.
const Patience = 20 * time.Second

// ErrMissing is why a program cannot be started: it is not installed. The error that
// wraps it says how to get it.
var ErrMissing = errors.New("not installed")

// Find looks up an executable of a Debian package.
func Find(name, pkg string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not on everybody's PATH
	}
	if err != nil {
		return "", Missing(pkg)
	}
	return path, nil
}

// Missing says that a Debian package is not there.
func Missing(pkg string) error {
	return fmt.Errorf("%w: apt-get install %s", ErrMissing, pkg)
}

// Program is a running one. Its methods are safe for concurrent use.
type Program struct {
	cmd    *exec.Cmd
	exited chan struct{}
	once   sync.Once
}

// Start runs cmd in a process group of its own. It is killed when ctx ends, and when
// the calling program dies.
func Start(ctx context.Context, cmd *exec.Cmd) (*Program, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &Program{cmd: cmd, exited: make(chan struct{})}
	stop := context.AfterFunc(ctx, p.kill)
	go func() {
		defer close(p.exited)
		defer stop()
		_ = cmd.Wait()
	}()
	return p, nil
}

// Wait blocks until something listens at the address, or the program has exited, or
// Patience is over.
func (p *Program) Wait(ctx context.Context, network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for {
		c, err := net.Dial(network, address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("%s ended (%s) before it listened at %s", p.cmd.Path, p.cmd.ProcessState, address)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen at %s: %w", p.cmd.Path, address, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// PID is the program's.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Close kills the program with its process group and waits for it.
func (p *Program) Close() error {
	p.kill()
	<-p.exited
	return nil
}

func (p *Program) kill() {
	p.once.Do(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
}

// FreePort is a TCP port of 127.0.0.1 that nobody listens on, for programs that cannot
// choose one themselves. Another program may take it first.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
