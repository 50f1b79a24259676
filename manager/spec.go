package manager

import (
	"errors"
	"fmt"

	"github.com/antano/antano/manager/internal/catalog"
	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// spec is what generations of a service are launched from. It does not change; a
// service that does gets another.
type spec struct {
	plan   PlannedService
	params *params.Params  // what holds for the whole server
	binary *catalog.Binary // the plugin that was described, whatever is at its path now
	group  *listener.Group // may be another spec's, too; nil for a service without sockets
}

// newSpec opens the plugin of a row. group is taken over; nil binds the row's address.
// With an error nothing that was opened here is open.
func newSpec(row PlannedService, p *params.Params, group *listener.Group) (_ *spec, err error) {
	s := &spec{plan: row, params: p, group: group}
	if s.binary, err = row.Plugin.open(); err != nil {
		return nil, err
	}
	if s.group == nil {
		if s.group, err = bind(row); err != nil {
			return nil, errors.Join(fmt.Errorf("service %s: %w", row.Params.Name, err), s.binary.Close())
		}
	}
	return s, nil
}

// bind opens the listening sockets of a row.
func bind(row PlannedService) (g *listener.Group, err error) {
	p := row.Params
	switch t := row.Plugin.Description.Transport; t {
	case shared.TransportTCP, shared.TransportUDP:
		g, err = listener.Bind(p.Port, p.Host, string(t), p.Backlog)
	case shared.TransportUnix:
		g, err = listener.BindUnixSocket(p.Endpoint, p.Mode, p.SocketType, p.Backlog)
	}
	return g, err
}

func (s *spec) address() string {
	if s.group != nil {
		return s.group.Address()
	}
	return ""
}

// movesTo reports whether clients of processes of s can be handed to those of next:
// both know how, and what the clients speak and where they connect stays.
func (s *spec) movesTo(next *spec) bool {
	a, b := s.plan.Params, next.plan.Params
	return s.plan.Plugin.Description.Handover && next.plan.Plugin.Description.Handover && s.group == next.group &&
		a.ServiceType == b.ServiceType && a.MessageFormatIn == b.MessageFormatIn && a.MessageFormatOut == b.MessageFormatOut &&
		a.FramingIn == b.FramingIn && a.FramingOut == b.FramingOut
}
