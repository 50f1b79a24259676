package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/antano/antano/shared/pluginpb"
)

// Running is a plugin process that an earlier manager, or this one before it executed
// another binary, has launched.
type Running struct {
	Path      string // the plugin's file, for errors
	Dir       string // its Spec.Dir
	Socket    string // of its control plane, in Dir
	PID       int
	StartTime uint64 // as Process.StartTime said
	StartedAt time.Time
	// Stdout and Stderr are those of Spec.
	Stdout, Stderr func(io.Reader)
}

// Attach makes a Process of one that runs. It fails when the process is gone or is
// another one by now, and then leaves everything as it was; the control plane is
// dialled by the first call. What the process printed meanwhile is read, as far as its
// FIFOs held it. Unless the process is a child of ours, its exit status stays unknown.
func Attach(running Running) (_ *Process, err error) {
	spec := &Spec{Path: running.Path, Dir: running.Dir, Stdout: running.Stdout, Stderr: running.Stderr}
	defer func() {
		if err != nil {
			err = fmt.Errorf("adopt plugin %s with pid %d: %w", running.Path, running.PID, err)
		}
	}()
	c, err := attachChild(running.PID, running.StartTime, running.StartedAt)
	if err != nil {
		return nil, err
	}
	uid, err := ownerOf(running.PID)
	if err != nil {
		c.pidfd.Close()
		return nil, err
	}
	out, err := openOutput(spec)
	if err != nil {
		c.pidfd.Close()
		return nil, err
	}
	r := newRun(context.Background(), spec, out)
	r.child, r.uid = c, uid
	r.served.Store(&running.Socket)
	p := &Process{run: r}
	cc, err := grpc.NewClient("passthrough:///"+running.Socket,
		append(r.dialOptions(&p.conns), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		c.pidfd.Close()
		out.close()
		return nil, err
	}
	p.conns.add(cc)
	p.rpc = pluginpb.NewPluginClient(cc)
	out.tail.stop()
	out.readers.Go(func() { consume(out.stdout.read, spec.Stdout) })
	out.readers.Go(out.readStderr)
	r.watch()
	return p, nil
}

// attachChild takes hold of a process by a pidfd, which is proof against another one
// with its number once its start time was compared.
func attachChild(pid int, start uint64, startedAt time.Time) (*child, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrExited, err)
	}
	c := &child{pid: pid, started: startedAt, startTime: start, pidfd: newPidfd(fd)}
	now, err := startTime(pid)
	if err != nil || now != start {
		c.pidfd.Close()
		return nil, fmt.Errorf("%w: pid %d is another process by now", ErrExited, pid)
	}
	var info unix.Siginfo
	err = unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	c.foreign = errors.Is(err, unix.ECHILD)
	return c, nil
}

// IsRunning reports whether the process with the given pid is the one that had the
// start time, and has not ended.
func IsRunning(pid int, start uint64) bool {
	now, err := startTime(pid)
	return err == nil && now == start
}
