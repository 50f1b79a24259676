package manager

import (
	"context"
	"errors"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/process"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// succeed takes the runtime directory and reads what the last manager left there. A
// state that makes no sense is one that there is not: its processes end by themselves.
func succeed(path string, log hclog.Logger) (*runtimedir.Dir, runtimedir.State, error) {
	state, stateErr := runtimedir.ReadState(path)
	var dir *runtimedir.Dir
	var err error
	if ours(state) {
		dir, err = runtimedir.Inherit(path, state.Upgrade.Lock)
	} else {
		dir, err = runtimedir.Lock(path)
		state, stateErr = runtimedir.ReadState(path) // the last one that was written under the lock
		state.Upgrade = nil                          // whoever began it is gone
	}
	if err != nil {
		return nil, runtimedir.State{}, err
	}
	if stateErr != nil {
		if !errors.Is(stateErr, runtimedir.ErrNoState) {
			log.Error("nothing of the last manager is taken over", "err", stateErr)
		}
		state = runtimedir.State{}
	}
	return dir, state, nil
}

// resume goes on with what was open when the predecessor was upgraded, as far as the
// processes have rejoined, and begins to relay.
func (s *Server) resume() {
	if u := s.predecessor.Upgrade; u != nil {
		if err := s.router.Restore(u.Open); err != nil {
			s.cfg.Logger.Error("messages that were under way end as timeout", "err", err)
		}
	}
	s.router.Open()
}

// inheritanceOf finds what a service to be assembled has from the predecessor, whose
// sockets and process ids it goes on with; nil without any. It is given once.
func (s *Server) inheritanceOf(a *assembly) *inheritance {
	in := s.inherited[a.row.Params.ID]
	if in == nil || a.old != nil {
		return nil
	}
	a.like = in.sockets()
	if len(in.state.IDs) > 0 {
		a.known, a.last, a.metrics, a.restarts = in.state.IDs, in.state.Last, in.state.Metrics, make(map[int]int)
		a.adopted, a.retired, a.stopped = len(in.state.IDs) > len(in.state.Retired), in.state.Retired, in.state.Stopped
		for _, p := range in.state.Processes {
			a.restarts[p.ID] = p.Restarts
		}
		for _, h := range in.heirs { // the state machine begins the next one
			a.last[h.was.ID] = h.was.Generation - 1
		}
	}
	return in
}

// takePage is the share page of the predecessor, nil without one.
func (in *inheritance) takePage() *listener.Page {
	if in == nil {
		return nil
	}
	page := in.page
	in.page = nil
	return page
}

// bequeath gives a service the processes that it inherits.
func (s *Server) bequeath(svc *Service, in *inheritance) {
	if in == nil {
		return
	}
	delete(s.inherited, svc.plan().Params.ID)
	for _, h := range in.heirs {
		i := svc.instanceOf(h)
		select {
		case <-h.link.Rejoined():
			svc.slots.reading(i.w.id, h.link.Reading())
		default:
		}
		i.w.mu.Lock()
		i.w.heir, i.w.instances[i.half] = i, i
		i.w.mu.Unlock()
		i.watch.Go(i.watchLink)
		h.link.SetReady(true)
	}
	for _, h := range in.left {
		i := svc.instanceOf(h)
		select {
		case <-h.link.Rejoined():
			svc.slots.outlived(i)
		default:
		}
		i.w.mu.Lock()
		i.w.instances[i.half] = i
		i.w.mu.Unlock()
		i.watch.Go(i.watchLink)
		i.w.process.Leave(process.Leaving{Instance: i, Generation: i.gen})
		s.cfg.Logger.Info("a process of the last manager goes on to drain", "service", svc.plan().Params.Name, "process", i.w.id,
			"generation", i.gen, "pid", h.was.PID)
	}
}

// instanceOf is an adopted process as one of a worker's.
func (s *Service) instanceOf(h *heir) *instance {
	w := s.worker(h.was.ID)
	return &instance{w: w, spec: s.spec(), gen: h.was.Generation, half: h.was.Row - rowsOf(w.index), proc: h.proc, reached: true, link: h.link,
		secret: [32]byte(h.was.Secret), logs: h.logs, failed: make(chan error, 1), closing: make(chan struct{}), adopted: true}
}

// takeHeir is the adopted instance of a generation, once.
func (w *worker) takeHeir(generation int) *instance {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.heir
	if i == nil || i.gen != generation {
		return nil
	}
	w.heir = nil
	return i
}

// renew applies what is different in params and plugins from what the predecessor ran.
func (s *Server) renew() {
	if !s.changed {
		return
	}
	_, err := s.operations.begin("reload", func(ctx context.Context, op *operation) error { return s.reload(ctx, op, false, true) })
	if err != nil {
		s.cfg.Logger.Error("what is different since the last manager is not applied; reload", "err", err)
	}
}
