package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/antano/antano/manager/internal/control"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/process"
)

// byHandTimeout bounds the start of a process under a debugger, which may stop it
// before it serves.
const byHandTimeout = 24 * time.Hour

// attach replaces a process by one that somebody starts by hand. When that ends, the
// process is started as always.
func (s *Service) attach(ctx context.Context, op *operation, w *worker) error {
	next := w.runs()
	settings := w.settings(next)
	settings.Timeouts.Start = byHandTimeout
	settings.Health = process.Health{} // a breakpoint is no hang
	var handed atomic.Bool
	settings.Launch = func(ctx context.Context, generation int) (process.Instance, error) {
		if handed.Swap(true) {
			return w.launch(ctx, generation, next)
		}
		return w.launchBy(ctx, generation, next, func(ctx context.Context, spec launch.Spec) (*launch.Process, error) {
			return launch.ByHand(ctx, spec, func(socket string) {
				op.add(Progress{Message: w.String() + ": waits for who starts it at " + socket, Service: s.plan().Params.Name,
					ProcessID: &w.id, Generation: generation, Socket: socket})
			})
		})
	}
	begin := w.process.Replace
	if w.stopped() {
		begin = w.process.Start
	}
	if err := begin(ctx, settings); err != nil {
		return err
	}
	op.sayOf(w, "generation %d serves; when it ends, the plugin in the plugin directory is started again", w.process.Status().Ref.Generation)
	return nil
}

// mayAttach reports why no process can be attached.
func (s *Server) mayAttach(svc *Service) error {
	switch {
	case !s.cfg.Dev:
		return fmt.Errorf("%w: a process can be attached only to a server in development; run it with 'antano run --dev'", control.ErrConflict)
	case svc == s.internal:
		return fmt.Errorf("%w: the internal service cannot be attached to", control.ErrBadRequest)
	}
	return nil
}

// Hand is what a process that is started by hand is to have: Env besides the caller's
// own environment, and FDs, which are close-on-exec, as descriptors from 3 on.
type Hand struct {
	Env []string
	FDs []int
}

// Attach has run start a process by hand, as SERVICE's process with the given id, or
// its first one: run gets what the process is to have, returns when it has ended, and
// should end it when its context does, which is when the server does not want it. What
// happens is given to take, from another goroutine. It blocks until run returns. The
// server must run with Config.Dev. Source: docs/control.md "Attach".
func (c *Control) Attach(ctx context.Context, service, process string, take func(Progress) error, run func(context.Context, Hand) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sockets, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- c.operate(ctx, serviceTarget(service, control.Attach, process), func(p Progress) error {
			if p.Socket != "" {
				sockets <- p.Socket
			}
			return take(p)
		})
	}()
	select {
	case err := <-ended:
		return err
	case socket := <-sockets:
		env, fds, conn, err := launch.TakeHand(ctx, socket)
		if err != nil {
			cancel()
			<-ended
			return err
		}
		return held(ctx, conn, Hand{env, fds}, ended, run)
	}
}

// held runs what starts the process, and ends it when the server gives up.
func held(ctx context.Context, conn net.Conn, hand Hand, ended chan error, run func(context.Context, Hand) error) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	ran := make(chan error, 1)
	go func() { ran <- run(running, hand) }()
	select {
	case err := <-ran:
		_ = conn.Close() // the server is told that there is none
		if refused := <-ended; refused != nil && err == nil {
			err = refused
		}
		return err
	case err := <-ended:
		_ = conn.Close()
		if err != nil {
			stop()
			return errors.Join(err, <-ran)
		}
		return <-ran
	}
}
