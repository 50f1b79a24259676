package manager

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// instance is one start of a worker: the launched process and its relay link.
type instance struct {
	w    *worker
	spec *spec
	gen  int
	half int // which of the worker's rows in the share page it uses
	proc *launch.Process
	// reached: the control plane of proc can be called.
	reached bool
	saved   <-chan struct{} // closed when a successor would find it
	link    *relay.Link
	secret  [32]byte
	logs    *logTap
	failed  chan error
	serves  atomic.Bool // it has started, though nobody was told yet
	// adopted: it served an earlier manager.
	adopted bool

	watch   sync.WaitGroup
	closing chan struct{}
}

// launch starts a generation of the worker's process. With an error nothing is left.
func (w *worker) launch(ctx context.Context, generation int, sp *spec) (*instance, error) {
	return w.launchBy(ctx, generation, sp, launch.Start)
}

// launchBy is launch with another way to start the process.
func (w *worker) launchBy(ctx context.Context, generation int, sp *spec,
	start func(context.Context, launch.Spec) (*launch.Process, error)) (_ *instance, err error) {
	s, p := w.service.server, sp.plan.Params
	if sp.binary == nil {
		return nil, fmt.Errorf("process %s cannot be started: the row or the plugin of its service is not what it was; reload", w)
	}
	uid, gid := sp.plan.execution.ids()
	i := &instance{w: w, spec: sp, gen: generation, failed: make(chan error, 1), closing: make(chan struct{})}
	if _, err := rand.Read(i.secret[:]); err != nil {
		return nil, fmt.Errorf("make the secret of %s: %w", w, err)
	}
	i.link = s.router.Expect(relay.Launch{
		Process: uint16(w.id), Generation: uint32(generation), Service: p.ID,
		Secret: i.secret, UID: uid, QueueLimit: p.Limits.ProcessQueueBytes,
		MaxClients: p.Limits.MaxClients, Handler: sp.plan.Plugin.Description.Handler,
	})
	if err := w.enter(i); err != nil {
		i.link.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			i.link.Close()
			err = errors.Join(err, s.dir.RemoveProcess(w.id, i.half))
			w.service.page.Clear(i.row())
			w.leave(i)
		}
	}()
	dir, err := s.dir.MakeProcess(w.id, i.half, uid, gid)
	if err != nil {
		return nil, err
	}
	i.logs = newLogTap(s.book, event.Ref{Service: p.ID, Name: p.Name, Process: w.id, Generation: generation})
	proc, err := start(ctx, launch.Spec{
		Path: sp.plan.Plugin.Path, Binary: sp.binary.File, Dir: dir,
		Env: sp.plan.execution.env, Execution: sp.plan.execution.launch(),
		Files: w.service.files(sp), StartTimeout: sp.params.Timeouts.Start,
		Stdout: func(r io.Reader) { i.logs.read("stdout", r) },
		Stderr: func(r io.Reader) { i.logs.read("stderr", r) },
		Forked: func(p *launch.Process) {
			w.launched(i, p)
			i.saved = s.keeper.save() // while it starts
		},
	})
	if err != nil {
		var failed *launch.Error
		if errors.As(err, &failed) && failed.Exit != nil {
			exit := *failed.Exit
			exit.Cause = failed.Err.Error() // the exit, and what led to it
			return nil, &process.ExitError{Exit: exit, Err: err}
		}
		return nil, err
	}
	w.reached(i)
	i.logs.pid(proc.PID())
	i.link.Admit(proc.PID())
	i.watch.Go(i.watchLink)
	return i, nil
}

// watchLink reports a link that breaks under a process that lives.
func (i *instance) watchLink() {
	select {
	case <-i.link.Down():
		select {
		case i.failed <- fmt.Errorf("relay link: %w", i.link.Err()):
		default:
		}
	case <-i.closing:
	}
}

func (i *instance) PID() int { return i.proc.PID() }

func (i *instance) StartedAt() time.Time { return i.proc.StartedAt() }

func (i *instance) Start(ctx context.Context) error {
	if i.adopted {
		return i.await(ctx, i.link.Rejoined())
	}
	select {
	case <-i.saved:
	case <-ctx.Done():
		return ctx.Err()
	}
	svc := i.w.service
	params := i.spec.plan.Params
	err := i.proc.Start(ctx, launch.Request{
		Identity: shared.Identity{ServerID: svc.server.plan.ServerID, ServiceID: params.ID, Service: params.Name, ProcessID: i.w.id, Generation: i.gen},
		Params:   params, RelaySocket: svc.server.dir.Socket(runtimedir.Relay), Secret: i.secret,
		ShareRow: i.row(), ShareRows: svc.page.Used(),
		PushBack: i.spec.params.PushBack, HandlerTimeout: i.spec.params.Timeouts.Handler,
		AdoptionWindow: i.spec.params.AdoptionWindow,
	})
	if err != nil {
		return err
	}
	if err := i.await(ctx, i.link.Up()); err != nil {
		return err
	}
	// Whoever is told that it is ready may rely on it that a successor adopts it.
	i.serves.Store(true)
	select {
	case <-svc.server.keeper.save():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await waits for the relay link of a process that serves.
func (i *instance) await(ctx context.Context, up <-chan struct{}) error {
	select {
	case <-up:
		return nil
	case <-i.link.Down():
		return fmt.Errorf("relay link: %w", i.link.Err())
	case <-i.proc.Done():
		return launch.ErrExited
	case <-ctx.Done():
		return fmt.Errorf("the plugin answered Start without a relay link: %w", ctx.Err())
	}
}

// row is the instance's own in the share page.
func (i *instance) row() int { return rowsOf(i.w.index) + i.half }

func (i *instance) Drain(ctx context.Context, deadline time.Time) error {
	i.link.Drain()
	unfinished, err := i.proc.Drain(ctx, time.Until(deadline))
	if err == nil && unfinished > 0 {
		i.w.service.server.cfg.Logger.Warn("clients did not take their output before the drain deadline",
			"service", i.spec.plan.Params.Name, "process", i.w.id, "clients", unfinished)
	}
	return err
}

func (i *instance) Stop(ctx context.Context) error { return i.proc.Stop(ctx) }

func (i *instance) Signal(sig os.Signal) error {
	s, ok := sig.(syscall.Signal)
	if !ok {
		return fmt.Errorf("signal %v cannot be sent", sig)
	}
	return i.proc.Signal(s)
}

func (i *instance) Kill() { i.proc.Kill() }

func (i *instance) Done() <-chan struct{} { return i.proc.Done() }

func (i *instance) Failed() <-chan error { return i.failed }

func (i *instance) Health(ctx context.Context) (string, error) {
	failing, err := i.link.Health(ctx)
	return i.w.evidence.asked(failing, err, i.spec.params.Health.Timeout)
}

func (i *instance) Exit() event.Exit {
	exit := i.proc.Exit()
	tail, panicked := i.logs.evidence()
	exit.Stderr = tail
	if panicked != "" {
		exit.Cause = panicked
	}
	return exit
}

// Depart ends the link, so that what was owed by the process is answered at once, and
// takes it out of what its siblings see.
func (i *instance) Depart() {
	close(i.closing)
	i.watch.Wait()
	i.link.Close()
	i.w.service.page.Clear(i.row())
}

// Close releases the rest; the process has been reaped or is killed now.
func (i *instance) Close() {
	if err := i.proc.Close(); err != nil {
		i.w.service.server.cfg.Logger.Error("clean up after a process", "service", i.spec.plan.Params.Name, "process", i.w.id, "err", err)
	}
	if err := i.w.service.server.dir.RemoveProcess(i.w.id, i.half); err != nil {
		i.w.service.server.cfg.Logger.Error("remove the directory of a process", "service", i.spec.plan.Params.Name, "process", i.w.id, "err", err)
	}
	i.w.leave(i)
}
