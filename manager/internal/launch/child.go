package launch

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/antano/antano/manager/internal/event"
)

// child is one forked process, leader of a process group of its own.
type child struct {
	pid       int
	started   time.Time
	startTime uint64   // of the kernel; 0 when it could not be read
	pidfd     *os.File // nil where the kernel has none
	foreign   bool     // somebody else's child, who reaps it

	mu     sync.Mutex // held over kill and reap: a pid is only ours until it is reaped
	reaped bool
	killed bool // by us, before it exited

	exit event.Exit // valid once reaping is done
}

// fork executes spec's binary with the given descriptors as 0, 1, 2 and so on.
//
// It uses raw descriptors and syscall.ForkExec, because os.StartProcess calls
// os.File.Fd, which clears O_NONBLOCK for everybody who shares the socket.
func fork(spec *Spec, env []string, fds []uintptr) (*child, error) {
	c := &child{}
	pidfd := -1
	err := spec.Execution.confined(func() error {
		return withBinary(spec, fds, func(path string, files []uintptr, inherit int) (err error) {
			c.started = time.Now()
			if spec.Execution.needsHelper() {
				c.pid, err = forkHelper(spec, path, env, files, inherit, &pidfd)
				return err
			}
			c.pid, err = syscall.ForkExec(path, []string{spec.Path}, &syscall.ProcAttr{
				Dir:   spec.Execution.WorkingDir,
				Env:   env,
				Files: files,
				Sys:   &syscall.SysProcAttr{Setpgid: true, PidFD: &pidfd, Credential: spec.Execution.credential()},
			})
			return spec.Execution.explain(err)
		})
	})
	if err != nil {
		return nil, err
	}
	if pidfd >= 0 && unix.SetNonblock(pidfd, true) == nil {
		c.pidfd = newPidfd(pidfd)
	}
	c.startTime, _ = startTime(c.pid)
	return c, nil
}

func newPidfd(fd int) *os.File { return os.NewFile(uintptr(fd), "pidfd") }

// wait blocks until the process has exited, kills what is left of its group and
// reaps it, at once: who holds its output is of no concern here.
func (c *child) wait() {
	c.awaitExit()
	if c.pidfd != nil {
		c.pidfd.Close()
	}
	at := time.Now()

	c.mu.Lock()
	defer c.mu.Unlock()
	// While the leader is a zombie, or one of its group lives, nobody else can have its
	// number.
	_ = unix.Kill(-c.pid, unix.SIGKILL)
	if c.foreign {
		c.exit = event.Exit{Code: -1, Cause: "exit status unknown: it is not a child of this manager"}
		c.exit.At, c.exit.Uptime = at, at.Sub(c.started)
		c.reaped = true
		return
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(c.pid, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		c.exit = exitOf(status, err)
		break
	}
	c.exit.At, c.exit.Uptime = at, at.Sub(c.started)
	c.reaped = true
}

// awaitExit parks in the poller, or in a thread of its own without a pidfd.
func (c *child) awaitExit() {
	if c.pidfd != nil {
		conn, err := c.pidfd.SyscallConn()
		if err == nil {
			err = conn.Read(func(fd uintptr) bool {
				if c.foreign {
					return readable(fd)
				}
				return c.hasExited(unix.WNOHANG)
			})
		}
		if err == nil {
			return
		}
	}
	c.hasExited(0)
}

// hasExited leaves the process to be reaped. An error (somebody else reaped it)
// counts as an exit.
func (c *child) hasExited(options int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, c.pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if !errors.Is(err, unix.EINTR) {
			return err != nil || info.Signo != 0
		}
	}
}

// readable reports whether a pidfd says that its process has ended.
func readable(pidfd uintptr) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
		if !errors.Is(err, unix.EINTR) {
			return n > 0 || err != nil
		}
	}
}

// ours reports whether the pid is still that of the process: who reaps a foreign one
// does not ask us. c.mu is held.
func (c *child) ours() bool {
	return !c.reaped && (!c.foreign || IsRunning(c.pid, c.startTime))
}

func exitOf(status unix.WaitStatus, err error) event.Exit {
	switch {
	case err != nil:
		return event.Exit{Code: -1, Cause: fmt.Sprintf("exit status unknown: %v", err)}
	case status.Signaled():
		name := unix.SignalName(status.Signal())
		if name == "" {
			name = fmt.Sprintf("signal %d", int(status.Signal()))
		}
		return event.Exit{Code: -1, Signal: name, Cause: "killed by " + name}
	}
	return event.Exit{Code: status.ExitStatus(), Cause: fmt.Sprintf("exited with code %d", status.ExitStatus())}
}

// signal sends sig to the process, or to its group.
func (c *child) signal(sig syscall.Signal, group bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ours() {
		return ErrExited
	}
	to := c.pid
	if group {
		to = -c.pid
	}
	if err := unix.Kill(to, sig); err != nil {
		return fmt.Errorf("send %s to %d: %w", unix.SignalName(sig), to, err)
	}
	return nil
}

// kill ends the whole group. It does not wait.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ours() {
		c.killed = true
		_ = unix.Kill(-c.pid, unix.SIGKILL)
	}
}

// endedByUs reports whether the exit is the work of kill.
func (c *child) endedByUs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killed && c.exit.Signal == "SIGKILL"
}
