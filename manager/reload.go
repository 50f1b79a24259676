package manager

import (
	"context"
	"fmt"
	"slices"

	"github.com/antano/antano/manager/internal/listener"
)

// Reload reads params and plugins again and applies what is different, as `antano
// reload` does. It returns when that has begun; how it goes on is logged. Safe for
// concurrent use. Another change under way is an error.
func (s *Server) Reload() error {
	_, err := s.beginReload(false)
	return err
}

func (s *Server) beginReload(dryRun bool) (*operation, error) {
	name := "reload"
	if dryRun {
		name = "reload --dry-run"
	}
	return s.operations.begin(name, func(ctx context.Context, op *operation) error { return s.reload(ctx, op, dryRun, false) })
}

// reload validates everything, says what would change, binds what is new, and only then
// changes anything. A successor leaves services the number of processes that they have,
// unless params name another one than they did.
func (s *Server) reload(ctx context.Context, op *operation, dryRun, successor bool) error {
	next, err := loadPlan(ctx, s.cfg)
	if err != nil {
		return err
	}
	if next.ServerID != s.plan.ServerID {
		return configError{fmt.Errorf("params are about server %d now, and this is server %d; add its row again, or stop and run again", next.ServerID, s.plan.ServerID)}
	}
	changes := diff(s.describeRunning(), s.withInternal(next), next.params)
	if successor {
		s.keepNumbers(changes)
	}
	r := newReloading(s, op, next.params)
	r.claim(changes)
	none := true
	for _, c := range changes {
		for _, line := range c.lines() {
			op.say(nil, "%s", line)
			none = false
		}
	}
	switch {
	case none:
		op.say(nil, "nothing changes")
	case dryRun:
		op.say(nil, "nothing was changed: this was a dry run")
	}
	if dryRun {
		return nil
	}
	s.tell("reloading")
	defer s.tell("ready")
	if err := r.bind(changes); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	if err := r.apply(ctx, changes); err != nil {
		return err
	}
	s.completed(next)
	return nil
}

func (s *Server) keepNumbers(changes []change) {
	for i := range changes {
		c := &changes[i]
		if svc := s.service(c.row.Params.ID); svc != nil && svc.plan().Params.Processes == c.row.Params.Processes {
			c.to = c.from
		}
	}
}

// describeRunning says what runs.
func (s *Server) describeRunning() (all []found) {
	for _, svc := range s.snapshot() {
		sp, workers := svc.spec(), svc.processes()
		mixed := slices.ContainsFunc(workers, func(w *worker) bool { return w.runs() != sp }) || sp.stale
		all = append(all, found{row: sp.plan, params: sp.params, processes: len(workers), mixed: mixed, bound: sp.bound})
	}
	return all
}

// withInternal are the services of a plan and the internal one, if there is one.
func (s *Server) withInternal(next *Plan) []PlannedService {
	rows := next.Services
	internal := s.service(0)
	if internal == nil {
		return rows
	}
	plugin := next.unix
	if plugin.Path == "" {
		plugin = internal.plan().Plugin // as it is
	}
	row := internalService(next.RuntimeDir, next.ServerID, plugin, next.params.Restart)
	return append(slices.Clone(rows), row)
}

// completed makes the order and the params of a plan the server's.
func (s *Server) completed(next *Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.params = next.params
	place := make(map[int64]int)
	for i, row := range next.Services {
		place[row.Params.ID] = i
	}
	slices.SortStableFunc(s.services, func(a, b *Service) int { return place[a.plan().Params.ID] - place[b.plan().Params.ID] })
}

// dismiss stops a service for good. Its sockets, but for those that are kept, are closed
// before it is drained.
func (s *Server) dismiss(ctx context.Context, op *operation, svc *Service, keep map[*listener.Group]bool) error {
	sp := svc.spec()
	if !keep[sp.group] {
		svc.refuse()
	}
	for _, w := range svc.processes() {
		w.leaving.Store(true)
	}
	if err := each(svc.processes(), func(w *worker) error { return w.process.Stop(ctx) }); err != nil {
		return fmt.Errorf("stop service %s: %w", sp.plan.Params.Name, err)
	}
	svc.end()
	<-svc.ended
	s.mu.Lock()
	s.services = slices.DeleteFunc(s.services, func(o *Service) bool { return o == svc })
	s.mu.Unlock()
	s.announce()
	if keep[sp.group] {
		svc.closeBut(&spec{group: sp.group})
	} else {
		svc.closeBut()
	}
	op.say(svc, "service %s is stopped", sp.plan.Params.Name)
	return nil
}
