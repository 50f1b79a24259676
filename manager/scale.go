package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/relay"
	"github.com/antano/antano/shared"
)

// maxProcesses is how many processes a service may have.
const maxProcesses = listener.MaxRows / generations

// checkScale says why a service cannot have n processes.
func (s *Service) checkScale(n int) error {
	name := s.plan().Params.Name
	switch {
	case n < 1:
		return fmt.Errorf("%d processes of service %s; use 1 to %d, or 'antano stop %s'", n, name, maxProcesses, name)
	case n > maxProcesses:
		return fmt.Errorf("%d processes of service %s; use 1 to %d", n, name, maxProcesses)
	case s.plan().Params.ID == 0 && n != 1:
		return errors.New("the internal service has one process")
	}
	return nil
}

// scale adds processes, or removes those with the highest ids one after another, until
// there are n.
func (s *Service) scale(ctx context.Context, op *operation, n int) error {
	if now := len(s.processes()); n >= now {
		return s.grow(ctx, op, n-now)
	}
	idle := !slices.ContainsFunc(s.processes()[:n], func(w *worker) bool { return !w.stopped() })
	if idle {
		s.refuse() // nobody is left to accept
	}
	for {
		all := s.processes()
		if len(all) <= n {
			break
		}
		if err := s.retire(ctx, op, all[len(all)-1]); err != nil {
			return err
		}
	}
	if idle {
		s.silence(op)
	}
	return nil
}

// grow adds n processes and returns when they are ready. Those that do not become ready
// are removed again, with an error. Those of a stopped service wait for its start.
func (s *Service) grow(ctx context.Context, op *operation, n int) error {
	if n == 0 {
		return nil
	}
	held := s.stopped()
	var added []*worker
	for range n {
		w, err := s.addWorker(held)
		if err != nil {
			return errors.Join(err, s.remove(ctx, added))
		}
		added = append(added, w)
	}
	s.server.announce()
	if held {
		op.say(s, "%s added; service %s is stopped", processes(n), s.plan().Params.Name)
		return nil
	}
	err := each(added, func(w *worker) error {
		op.sayOf(w, "starts")
		err := w.process.Start(ctx, w.settings(w.runs())) // which waits for it
		if err == nil {
			op.sayOf(w, "is ready")
		}
		return err
	})
	if err == nil {
		return nil
	}
	unready := slices.DeleteFunc(added, func(w *worker) bool { return w.process.Status().State == event.Ready })
	for _, w := range unready {
		op.sayOf(w, "is removed: it did not become ready")
	}
	return errors.Join(err, s.remove(ctx, unready))
}

// held reports whether every process was stopped by command, or is to be, at a time at
// which others may not have begun.
func (s *Service) held() bool {
	return !slices.ContainsFunc(s.processes(), func(w *worker) bool { return !w.process.Status().Held })
}

// stopped reports whether every process was stopped by command.
func (s *Service) stopped() bool {
	return !slices.ContainsFunc(s.processes(), func(w *worker) bool { return !w.stopped() })
}

// addWorker adds a process and runs it: one that was scaled away, else a new one. held
// has it wait for its start.
func (s *Service) addWorker(held bool) (*worker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		return nil, fmt.Errorf("service %s is being stopped", s.current.plan.Params.Name)
	}
	var w *worker
	if len(s.retired) > 0 {
		again := s.retired[0]
		s.retired = s.retired[1:]
		w = newWorker(s, again.id, again.index, s.current, again.past(), held)
	} else {
		id, err := s.server.nextProcessID()
		if err != nil {
			return nil, err
		}
		index := len(s.workers)
		s.page.Use(rowsOf(index + 1))
		w = newWorker(s, id, index, s.current, past{}, held)
	}
	s.workers = append(s.workers, w)
	slices.SortFunc(s.workers, byID)
	s.slots.add(w.id)
	s.launch(w)
	return w, nil
}

func byID(a, b *worker) int { return a.id - b.id }

// retire ends a process for good, after its clients moved to a sibling that is ready.
func (s *Service) retire(ctx context.Context, op *operation, w *worker) error {
	if err := s.vacate(ctx, op, w, s.slots.remove); err != nil {
		return err
	}
	if err := s.remove(ctx, []*worker{w}); err != nil {
		return err
	}
	op.sayOf(w, "is removed")
	return nil
}

// remove stops processes and takes them out of the service; their ids stay its own.
func (s *Service) remove(ctx context.Context, workers []*worker) error {
	err := each(workers, func(w *worker) error {
		w.leaving.Store(true)
		if err := w.process.Stop(ctx); err != nil {
			w.leaving.Store(false)
			return fmt.Errorf("remove process %s: %w", w, err)
		}
		w.end()
		<-w.ended
		return nil
	})
	if err != nil {
		return err
	}
	for _, w := range workers {
		s.slots.forget(w.id)
	}
	s.mu.Lock()
	s.workers = slices.DeleteFunc(s.workers, func(w *worker) bool { return slices.Contains(workers, w) })
	s.retired = append(s.retired, workers...)
	slices.SortFunc(s.retired, byID)
	s.mu.Unlock()
	s.server.announce()
	return nil
}

// vacateTime bounds how long siblings may take to adopt the slots of a process.
const vacateTime = 10 * time.Second

// vacate moves the clients of a process that is about to end to siblings that are
// ready, and its slots as leave says. Where the plugin cannot, or there is no sibling,
// clients stay and are drained.
func (s *Service) vacate(ctx context.Context, op *operation, w *worker, leave func(context.Context, int) error) error {
	to := s.sibling(w)
	if s.slots.table != nil {
		ctx, cancel := context.WithTimeout(ctx, vacateTime)
		defer cancel()
		if err := leave(ctx, w.id); err != nil && to != nil {
			op.sayOf(w, "its siblings have not adopted its slots within %s", vacateTime)
		}
		return nil
	}
	from := w.instance()
	if from == nil || to == nil || w.process.Status().State != event.Ready || !from.spec.movesTo(to.spec) {
		return nil
	}
	if err := s.server.router.Move(ctx, from.link, to.link, relay.Scope{All: true}); err != nil {
		return fmt.Errorf("the clients of process %s cannot be handed to process %s: %w; 'antano why %s' shows whether one of them hangs", w, to.w, err, w.service.plan().Params.Name)
	}
	op.sayOf(w, "its clients are with process %s now", to.w)
	return nil
}

// sibling is the ready process with the fewest clients besides w, if there is one.
func (s *Service) sibling(w *worker) (best *instance) {
	var fewest uint64
	for _, o := range s.processes() {
		if o == w || o.process.Status().State != event.Ready {
			continue
		}
		if n := o.status(time.Now()).Clients; best == nil || n < fewest {
			if i := o.instance(); i != nil {
				best, fewest = i, n
			}
		}
	}
	return best
}

// nextProcessID is one that no process of this server ever had.
func (s *Server) nextProcessID() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lastProcessID >= shared.MaxProcessID {
		return 0, fmt.Errorf("all %d process ids were used since the server started; restart it to use them again", shared.MaxProcessID)
	}
	s.lastProcessID++
	return s.lastProcessID, nil
}
