package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/process"
)

// restart replaces processes of a service one after another, by the plugin that is on
// disk now. Those that are stopped stay so.
func (s *Service) restart(ctx context.Context, op *operation, workers []*worker) error {
	var running []*worker
	for _, w := range workers {
		if !w.stopped() {
			running = append(running, w)
		}
	}
	if len(running) == 0 {
		return stoppedError(s, workers)
	}
	next, err := s.fresh(ctx, op)
	if err != nil {
		return err
	}
	return s.replaceAll(ctx, op, next, running)
}

// stoppedError is that of an operation on processes that are stopped.
func stoppedError(s *Service, workers []*worker) error {
	if len(workers) == 1 && len(s.processes()) > 1 {
		return fmt.Errorf("process %s is stopped; start it with 'antano start %s'", workers[0], workers[0])
	}
	name := s.plan().Params.Name
	return fmt.Errorf("service %s is stopped; start it with 'antano start %s'", name, name)
}

// fresh is the spec of the service with the plugin that is on disk now.
func (s *Service) fresh(ctx context.Context, op *operation) (*spec, error) {
	sp := s.spec()
	row, err := s.server.redescribe(ctx, sp.plan)
	if err != nil {
		return nil, err
	}
	if row.Plugin.SHA256 == sp.plan.Plugin.SHA256 {
		return sp, nil
	}
	op.say(s, "the plugin %s has changed on disk", row.Plugin.Path)
	return newSpec(row, sp.params, sp, s.server.given)
}

// redescribe asks the plugin of a row anew if its file has changed, and checks the row
// against it.
func (s *Server) redescribe(ctx context.Context, row PlannedService) (PlannedService, error) {
	plugin, err := describe(ctx, row.Params.ServiceType, row.Plugin.Path, row.execution, s.cfg.Logger)
	switch {
	case ctx.Err() != nil:
		return row, fmt.Errorf("ask the plugin %s what it is: %w", row.Plugin.Path, ctx.Err())
	case err != nil:
		return row, configError{fmt.Errorf("nothing was changed: the plugin of service %s cannot be used: %w", row.Params.Name, err)}
	}
	if plugin.SHA256 == row.Plugin.SHA256 {
		return row, nil
	}
	checked := row.row
	checked.ServiceParams = row.Params
	if issues := checkRow(checked, plugin, row.execution, s.plan.RuntimeDir); len(issues) > 0 && row.Params.ID != 0 {
		return row, configError{issues} // the internal service fits, and may use our names
	}
	if t := plugin.Description.Transport; t != row.Plugin.Description.Transport {
		return row, configError{fmt.Errorf("plugin %s listens on %s now instead of %s; 'antano reload' changes that", plugin.Path, t, row.Plugin.Description.Transport)}
	}
	row.Plugin = plugin
	return row, nil
}

// replaceAll has processes replaced by generations of next, which becomes the spec of
// the service when all of its processes run it.
func (s *Service) replaceAll(ctx context.Context, op *operation, next *spec, workers []*worker) error {
	s.hold(next)
	defer s.tidy()
	members := make([]*replacement, len(workers))
	for i, w := range workers {
		members[i] = &replacement{worker: w, op: op, next: next}
	}
	if err := roll(ctx, members); err != nil {
		return err
	}
	for _, w := range s.processes() {
		if w.stopped() && w.runs() != next {
			w.set(ctx, next)
		}
		if w.runs() != next {
			return nil
		}
	}
	s.adopt(next)
	return nil
}

// stop stops processes, each as it would be at the server's stop, and the clients of
// those whose siblings run on move to them. With the last one the sockets are closed.
func (s *Service) stop(ctx context.Context, op *operation, workers []*worker) error {
	last := true
	for _, w := range s.processes() {
		last = last && (w.stopped() || slices.Contains(workers, w))
	}
	if last {
		s.refuse()
	} else {
		for _, w := range workers {
			if err := s.vacate(ctx, op, w, s.slots.leave); err != nil {
				op.sayOf(w, "its clients did not move and are drained: %v", err)
			}
		}
	}
	err := each(workers, func(w *worker) error {
		err := w.process.Stop(ctx)
		if err == nil {
			op.sayOf(w, "is stopped")
		}
		return err
	})
	if err == nil && last {
		s.silence(op)
	}
	return err
}

// silence closes the sockets of a service whose processes are all stopped.
func (s *Service) silence(op *operation) {
	if s.spec().group != nil {
		op.say(s, "service %s does not listen on %s any more", s.plan().Params.Name, s.address())
		s.unbind()
	}
}

// start starts processes that are stopped, or wait for their next start, and returns
// when they are ready or one of them is not going to be. Closed sockets are bound
// again first, at the address that they had.
func (s *Service) start(ctx context.Context, op *operation, workers []*worker) error {
	next, err := s.fresh(ctx, op)
	if err != nil {
		return err
	}
	defer s.tidy()
	s.hold(next)
	if next, err = s.rebind(next); err != nil {
		return err
	}
	s.hold(next)
	for _, w := range s.processes() {
		if w.stopped() {
			w.set(ctx, next)
		}
	}
	s.adopt(next)
	return each(workers, func(w *worker) error {
		if w.process.Status().State == event.Ready {
			op.sayOf(w, "is ready already")
			return nil
		}
		op.sayOf(w, "starts")
		w.use(next)
		err := w.process.Start(ctx, w.settings(next))
		if err == nil {
			op.sayOf(w, "is ready in generation %d", w.process.Status().Ref.Generation)
		}
		return err
	})
}

// stopped reports whether the process was stopped by command.
func (w *worker) stopped() bool { return w.process.Status().State == event.Stopped }

// set has the next generation run sp.
func (w *worker) set(ctx context.Context, sp *spec) {
	w.use(sp)
	_ = w.process.Set(ctx, w.settings(sp)) // fails only when there is no next one
}

// each calls f for all workers at once and waits for all of them.
func each(workers []*worker, f func(*worker) error) error {
	errs := make([]error, len(workers))
	var all sync.WaitGroup
	for i, w := range workers {
		all.Go(func() { errs[i] = f(w) })
	}
	all.Wait()
	return firstOf(errs)
}

// firstOf is the first error, with how many there are besides; a process that did not
// become ready comes first, since there is evidence with it.
func firstOf(errs []error) (first error) {
	n := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		n++
		var unready *process.NotReadyError
		if first == nil || errors.As(err, &unready) && !errors.As(first, &unready) {
			first = err
		}
	}
	if n > 1 {
		return fmt.Errorf("%w (and %d more processes)", first, n-1)
	}
	return first
}
