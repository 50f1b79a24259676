package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// spec is what generations of a service are launched from. It does not change; a
// service that does gets another, which may share what it opened.
type spec struct {
	plan   PlannedService
	params *params.Params  // what holds for the whole server
	binary *catalog.Binary // the plugin that was described, whatever is at its path now; nil: nothing is launched
	group  *listener.Group // nil for a service without sockets, and while it is stopped
	bound  string          // the address of group, or what it was; empty without sockets
	stale  bool            // adopted processes were launched from something else
}

// newSpec opens the plugin of a row. The sockets, bound or not, are those of another
// spec; with nil the address of the row is bound. With an error nothing that was opened
// here is open.
func newSpec(row PlannedService, p *params.Params, like *spec, given *listener.Given) (_ *spec, err error) {
	s := &spec{plan: row, params: p}
	if s.binary, err = row.Plugin.open(); err != nil {
		return nil, err
	}
	if err := s.listen(like, given); err != nil {
		return nil, errors.Join(err, s.binary.Close())
	}
	return s, nil
}

// listen gives s the sockets of another spec, or binds its own.
func (s *spec) listen(like *spec, given *listener.Given) (err error) {
	if like != nil {
		s.group, s.bound = like.group, like.bound
		return nil
	}
	if s.group, err = bind(s.plan, given); err != nil {
		return fmt.Errorf("service %s: %w", s.plan.Params.Name, err)
	}
	if s.group != nil {
		s.bound = s.group.Address()
	}
	return nil
}

// bind opens the listening sockets of a row, or takes those that were given for it.
func bind(row PlannedService, given *listener.Given) (g *listener.Group, err error) {
	p := row.Params
	switch t := row.Plugin.Description.Transport; t {
	case shared.TransportTCP, shared.TransportUDP:
		if g, err = given.Bind(p.Name, p.Port, p.Host, string(t), p.Backlog); g == nil && err == nil {
			g, err = listener.Bind(p.Port, p.Host, string(t), p.Backlog)
		}
	case shared.TransportUnix:
		if g, err = given.BindUnixSocket(p.Name, p.Endpoint, p.SocketType, p.Backlog); g == nil && err == nil {
			g, err = listener.BindUnixSocket(p.Endpoint, p.Mode, p.SocketType, p.Backlog)
		}
	}
	return g, err
}

// movesTo reports whether clients of processes of s can be handed to those of next:
// both know how, and what the clients speak and where they connect stays.
func (s *spec) movesTo(next *spec) bool {
	a, b := s.plan.Params, next.plan.Params
	return s.plan.Plugin.Description.Handover && next.plan.Plugin.Description.Handover && s.group == next.group &&
		a.ServiceType == b.ServiceType && a.MessageFormatIn == b.MessageFormatIn && a.MessageFormatOut == b.MessageFormatOut &&
		a.FramingIn == b.FramingIn && a.FramingOut == b.FramingOut
}

// hold keeps open what a spec opened until no process runs it.
func (s *Service) hold(sp *spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp != s.current && !slices.Contains(s.others, sp) {
		s.others = append(s.others, sp)
	}
}

// adopt makes a spec that is held that of the service.
func (s *Service) adopt(sp *spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp == s.current {
		return
	}
	s.others = append(s.others, s.current)
	s.current = sp
}

// tidy closes what the specs opened that no process runs any more.
func (s *Service) tidy() {
	s.mu.Lock()
	stay := []*spec{s.current}
	for _, w := range s.workers {
		stay = append(stay, w.runs())
	}
	var gone []*spec
	s.others = slices.DeleteFunc(s.others, func(sp *spec) bool {
		if slices.Contains(stay, sp) {
			return false
		}
		gone = append(gone, sp)
		return true
	})
	s.mu.Unlock()
	drop(gone, stay)
}

// drop closes what specs opened, but for what those that stay share with them.
func drop(specs, stay []*spec) {
	for _, sp := range specs {
		if !slices.ContainsFunc(stay, func(o *spec) bool { return o.group == sp.group }) && sp.group != nil {
			sp.group.Refuse()
			sp.group.Close()
		}
		if sp.binary != nil && !slices.ContainsFunc(stay, func(o *spec) bool { return o.binary == sp.binary }) {
			_ = sp.binary.Close()
		}
	}
}

// refuse has connections refused from now on, though processes still hold the sockets.
func (s *Service) refuse() {
	if g := s.spec().group; g != nil {
		g.Refuse()
	}
}

// unbind closes the sockets of a service whose processes are stopped.
func (s *Service) unbind() {
	sp := *s.spec()
	group := sp.group
	if group == nil {
		return
	}
	sp.group = nil
	s.put(context.Background(), &sp)
	group.Close()
}

// rebind opens the sockets that unbind closed: next, or a spec like it that has them.
func (s *Service) rebind(next *spec) (*spec, error) {
	if next.group != nil || next.bound == "" {
		return next, nil
	}
	row := next.plan
	if row.Params.Host != "" || row.Plugin.Description.Transport != shared.TransportUnix {
		if _, port, err := net.SplitHostPort(next.bound); err == nil {
			row.Params.Port, _ = strconv.Atoi(port) // the one that the kernel chose
		}
	}
	group, err := bind(row, s.server.given)
	if err != nil {
		return nil, fmt.Errorf("service %s cannot be started again: %w", row.Params.Name, err)
	}
	sp := *next
	sp.group, sp.bound = group, group.Address()
	return &sp, nil
}

// put makes sp the spec of the service and of all its processes, which are stopped; it
// shares everything but sockets with the one before.
func (s *Service) put(ctx context.Context, sp *spec) {
	for _, w := range s.processes() {
		w.set(ctx, sp)
	}
	s.mu.Lock()
	s.current = sp
	s.mu.Unlock()
}
