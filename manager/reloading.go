package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
)

// reloading is a reload that is being applied.
type reloading struct {
	s      *Server
	op     *operation
	params *params.Params
	bound  map[int64]*spec          // sockets for services that are new or listen elsewhere, by id
	held   map[int64]bool           // the services that were stopped by command
	taken  map[*listener.Group]bool // those among them that another service has now
	// Those among taken whose service is gone.
	orphans map[*listener.Group]bool
}

func newReloading(s *Server, op *operation, p *params.Params) *reloading {
	return &reloading{s: s, op: op, params: p, bound: make(map[int64]*spec), held: make(map[int64]bool),
		taken: make(map[*listener.Group]bool), orphans: make(map[*listener.Group]bool)}
}

// claim finds the sockets that go from one service to another. Who gives them away is
// stopped before others read them. It changes nothing but changes.
func (r *reloading) claim(changes []change) {
	given := r.given(changes)
	for _, c := range changes {
		if sp := given[socketKey(c.row, c.row.resolved())]; sp != nil && c.wantsSockets() {
			r.taken[sp.group] = true
			r.bound[c.row.Params.ID] = sp
		}
	}
	for i := range changes {
		c := &changes[i]
		svc := r.s.service(c.row.Params.ID)
		if svc != nil && r.taken[svc.spec().group] && c.kind == changeReplace {
			c.add(changeRenew, "its address goes to another service")
		}
	}
}

// wantsSockets reports whether a change takes other sockets than the service has.
func (c *change) wantsSockets() bool {
	return c.kind == changeAdd || c.kind == changeRenew || c.rebind
}

// bind opens the addresses that are new and not claimed, all before anything changes.
// With an error nothing is open that was not before.
func (r *reloading) bind(changes []change) error {
	var errs []error
	for _, c := range changes {
		id := c.row.Params.ID
		if r.bound[id] != nil || !c.wantsSockets() {
			continue
		}
		if c.kind == changeRenew && !c.rebind {
			continue // the same address in another way: once the old sockets are closed
		}
		group, err := bind(c.row, r.s.given)
		if svc := r.s.service(id); err != nil && svc != nil && svc.stopped() {
			r.op.say(svc, "service %s stays stopped, and could not be started now: %v", c.row.Params.Name, err)
			r.bound[id] = &spec{} // bound when it is started
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("service %s: %w", c.row.Params.Name, err))
			continue
		}
		r.bound[id] = &spec{group: group}
		if group != nil {
			r.bound[id].bound = group.Address()
		}
	}
	if len(errs) > 0 {
		r.release()
	}
	return errors.Join(errs...)
}

// release closes the sockets that nobody uses: what bind opened, and what a service
// that is gone has left to another, as far as it did not come to that.
func (r *reloading) release() {
	for id, sp := range r.bound {
		if sp.group != nil && (!r.taken[sp.group] || r.orphans[sp.group]) {
			sp.group.Close()
		}
		delete(r.bound, id)
	}
}

// given are the sockets of services that are removed or listen elsewhere, by address.
func (r *reloading) given(changes []change) map[string]*spec {
	given := make(map[string]*spec)
	for _, c := range changes {
		svc := r.s.service(c.row.Params.ID)
		if svc == nil || c.kind != changeRemove && c.kind != changeRenew && !c.rebind {
			continue
		}
		if sp := svc.spec(); sp.group != nil {
			given[socketKey(sp.plan, sp.bound)] = sp
		}
	}
	return given
}

// socketKey is the same for sockets that can stand for each other.
func socketKey(row PlannedService, address string) string {
	return fmt.Sprint(row.Plugin.Description.Transport, row.Params.SocketType, " ", address)
}

// apply carries the changes out: first those end that give their sockets to others, or
// cannot be replaced piece by piece; last, those that are removed.
func (r *reloading) apply(ctx context.Context, changes []change) error {
	defer r.release()
	old := make(map[int64]*Service)
	for _, c := range changes {
		svc := r.s.service(c.row.Params.ID)
		r.held[c.row.Params.ID] = svc != nil && svc.stopped()
		if c.kind == changeRenew || c.kind == changeRemove && r.taken[svc.spec().group] {
			group := svc.spec().group
			if err := r.s.dismiss(ctx, r.op, svc, r.taken); err != nil {
				return err
			}
			old[c.row.Params.ID] = svc
			r.orphans[group] = true
		}
	}
	for _, c := range changes {
		if err := r.one(ctx, c, old[c.row.Params.ID]); err != nil {
			return fmt.Errorf("service %s: %w", c.row.Params.Name, err)
		}
	}
	for _, c := range changes {
		if c.kind == changeRemove && old[c.row.Params.ID] == nil {
			if err := r.s.dismiss(ctx, r.op, r.s.service(c.row.Params.ID), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// one carries out a change that does not only remove a service.
func (r *reloading) one(ctx context.Context, c change, old *Service) error {
	if c.kind == changeRemove {
		return nil
	}
	if c.kind == changeAdd || c.kind == changeRenew {
		return r.add(ctx, c, old)
	}
	svc := r.s.service(c.row.Params.ID)
	if c.to < c.from { // who goes need not be replaced first
		if err := svc.scale(ctx, r.op, c.to); err != nil {
			return err
		}
	}
	switch c.kind {
	case changeAdjust:
		if err := r.adjust(ctx, svc, c.row); err != nil {
			return err
		}
	case changeReplace:
		if err := r.replace(ctx, svc, c); err != nil {
			return err
		}
	}
	return svc.scale(ctx, r.op, c.to)
}

// adjust changes how processes are looked after, and their sockets in place.
func (r *reloading) adjust(ctx context.Context, svc *Service, row PlannedService) error {
	sp := *svc.spec()
	if sp.group != nil {
		if err := sp.group.Adjust(row.Params.Mode, row.Params.Backlog); err != nil {
			return err
		}
	}
	sp.plan, sp.params = row, r.params
	svc.put(ctx, &sp)
	return nil
}

// sockets are those of a service whose row has changed: its own, adjusted, or others.
func (r *reloading) sockets(svc *Service, c change) (*spec, error) {
	id := c.row.Params.ID
	like := r.bound[id]
	switch {
	case r.held[id] && (like != nil || c.kind == changeRenew):
		return &spec{bound: c.row.address()}, nil // bound when it is started
	case like != nil:
	case svc != nil:
		like = svc.spec()
	default:
		return nil, nil
	}
	if like.group != nil {
		return like, like.group.Adjust(c.row.Params.Mode, c.row.Params.Backlog)
	}
	return like, nil
}

// replace rolls a new spec out. What is stopped only gets it.
func (r *reloading) replace(ctx context.Context, svc *Service, c change) error {
	like, err := r.sockets(svc, c)
	if err != nil {
		return err
	}
	next, err := newSpec(c.row, r.params, like, r.s.given)
	if err != nil {
		return err
	}
	if next.group != nil {
		delete(r.bound, c.row.Params.ID) // they are the service's now
	}
	awake := slices.DeleteFunc(svc.processes(), (*worker).stopped)
	if len(awake) == 0 {
		svc.put(ctx, next)
		return nil
	}
	return svc.replaceAll(ctx, r.op, next, awake)
}

// add assembles and runs a new service, or one that was stopped to be renewed, and
// waits until it is ready. One that has no process that becomes ready is removed again.
func (r *reloading) add(ctx context.Context, c change, old *Service) error {
	like, err := r.sockets(nil, c)
	if err != nil {
		return err
	}
	held := r.held[c.row.Params.ID]
	c.row.ProcessIDs = nil // those of the plan may be somebody's
	svc, err := newService(assembly{row: c.row, params: r.params, like: like, old: old, held: held}, r.s)
	if err != nil {
		return err
	}
	if svc.spec().group != nil {
		delete(r.bound, c.row.Params.ID) // they are the service's now
	}
	r.s.add(svc)
	r.s.announce()
	r.s.begin(svc)
	if held || svc.settled(ctx) {
		r.op.say(svc, "service %s is %s on %s", c.row.Params.Name, serviceState(svc.states()), svc.address())
		return nil
	}
	err = fmt.Errorf("it has no process that became ready and is removed: %w", svc.unready())
	return errors.Join(err, r.s.dismiss(ctx, r.op, svc, nil))
}
