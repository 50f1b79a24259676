package launch

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
	"golang.org/x/sys/unix"
)

// killWait bounds how long go-plugin waits for a SIGKILL to have worked.
const killWait = 5 * time.Second

// run is the process as go-plugin's Runner sees it. go-plugin reads neither of the
// real outputs: of stdout it gets the one line that was checked, of stderr the end.
type run struct {
	ctx  context.Context // of Start: its end kills a process that is not up yet; never ends for an adopted one
	spec *Spec
	out  *output

	errPipe  *io.PipeReader
	errClose *io.PipeWriter

	once  sync.Once
	start error

	child  *child
	uid    int                    // that it runs as
	disarm func() bool            // ends the hold of ctx on the process; false when it has ended it
	forked func()                 // is told of the child; may be nil
	served atomic.Pointer[string] // the plugin's socket, once the handshake is done
	// life ends when the child is reaped and its output read.
	life    context.Context
	endLife context.CancelFunc
}

func newRun(ctx context.Context, spec *Spec, out *output) *run {
	r := &run{ctx: ctx, spec: spec, out: out, uid: spec.Execution.uid()}
	r.errPipe, r.errClose = io.Pipe()
	r.life, r.endLife = context.WithCancel(context.Background())
	return r
}

// use is a RunnerFunc.
func (r *run) use(_ hclog.Logger, cmd *exec.Cmd, _ string) (runner.Runner, error) {
	return &withEnv{run: r, env: cmd.Env}, nil
}

// withEnv is a run that knows what go-plugin adds to the environment.
type withEnv struct {
	*run
	env []string
}

// Start forks. Source: runner.Runner.
func (r *withEnv) Start(context.Context) error {
	r.once.Do(func() { r.start = r.fork(r.env) })
	return r.start
}

func (r *run) fork(handshake []string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	fds := []uintptr{uintptr(null), uintptr(r.out.stdout.write), uintptr(r.out.stderr.write)}
	for _, f := range r.spec.Files {
		fds = append(fds, uintptr(f.FD))
	}
	c, err := fork(r.spec, r.spec.environ(handshake), fds)
	if err != nil {
		return err
	}
	r.child = c
	r.out.run()
	r.disarm = context.AfterFunc(r.ctx, c.kill)
	r.watch()
	if r.forked != nil {
		r.forked()
	}
	return nil
}

// watch has a goroutine wait for the end of the process, which Close brings about and
// waits for.
func (r *run) watch() {
	go func() {
		r.child.wait()
		if r.disarm != nil {
			r.disarm()
		}
		r.out.finish()
		r.errClose.Close()
		r.endLife()
	}()
}

// Wait blocks until the process is gone and its output read.
func (r *run) Wait(ctx context.Context) error {
	select {
	case <-r.life.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Kill ends the process group and waits a moment for it.
func (r *run) Kill(ctx context.Context) error {
	if r.child == nil {
		return nil
	}
	r.child.kill()
	ctx, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	return r.Wait(ctx)
}

// socket is empty before the handshake.
func (r *run) socket() string {
	if s := r.served.Load(); s != nil {
		return *s
	}
	return ""
}

// Stdout is the line of the handshake, then nothing until the exit.
func (r *run) Stdout() io.ReadCloser { return r.out.lines }

// Stderr is nothing until the exit.
func (r *run) Stderr() io.ReadCloser { return r.errPipe }

// Name is for go-plugin's log, which is off.
func (r *run) Name() string { return r.spec.Path }

// ID is the pid; empty while there is none.
func (r *run) ID() string {
	if r.child == nil {
		return ""
	}
	return strconv.Itoa(r.child.pid)
}

// Diagnose adds nothing: explain does.
func (r *run) Diagnose(context.Context) string { return "" }

// PluginToHost was checked with the handshake.
func (r *run) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" {
		return "", "", errors.New("only Unix sockets are used")
	}
	r.served.Store(&address)
	return network, address, nil
}

// HostToPlugin is the identity: both are in the same file system.
func (r *run) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
