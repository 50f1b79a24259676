package manager

import (
	"net/netip"

	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// fate is what becomes of a process of the predecessor.
type fate uint8

const (
	gone    fate = iota // it has ended, or its number is another's
	adopt               // it serves on
	vie                 // it is ready to take the place of another one, or has: see rivals
	leave               // it goes on to drain, beside the next generation
	dismiss             // it is drained and stopped, and started anew where it is wanted
	destroy             // it cannot be asked: it is killed
)

// claim is what is known of one process when its fate is decided.
type claim struct {
	alive    bool // the pid is the process that was launched
	ready    bool // it served, and was not draining
	draining bool // it did: another generation took over, or it was stopped
	beside   bool // it was ready to take over
	planned  bool // its service goes on here, and this process in it
	held     bool // its service has one that serves, and with it the sockets
}

// decide is the adoption decision. One that was starting cannot be told from one that
// hangs, and nobody else waits for its answer; one that drained ends what it had begun,
// unless it has the sockets of a service that is to be opened anew.
func (c claim) decide() fate {
	switch {
	case !c.alive:
		return gone
	case c.beside && c.planned:
		return vie
	case !c.ready && (!c.draining || c.planned && !c.held):
		return destroy
	case !c.ready && c.planned:
		return leave
	case !c.ready || !c.planned:
		return dismiss
	}
	return adopt
}

// rivals are a process and the next generation of it, which was ready to take its clients
// when the manager went: whether it has them nobody noted.
type rivals struct {
	oldRejoined, newRejoined bool
	oldHolds                 bool // client ids: it gives all of them away with its clients
}

// newServes decides between them.
func (r rivals) newServes() bool { return r.newRejoined && !(r.oldRejoined && r.oldHolds) }

// succeeds reports whether a row goes on with the sockets of a service of the
// predecessor.
func (s PlannedService) succeeds(st runtimedir.StateService) bool {
	if s.Params.ID != st.ID || s.Params.ServiceType != st.Type {
		return false
	}
	return s.boundTo(st.Address)
}

// boundTo reports whether the row's address is the given one, as Group.Address said it;
// port 0 is any.
func (s PlannedService) boundTo(address string) bool {
	want := s.resolved()
	switch s.Plugin.Description.Transport {
	case shared.TransportTCP, shared.TransportUDP:
		at, err := netip.ParseAddrPort(address)
		mine, errMine := netip.ParseAddrPort(want)
		return err == nil && errMine == nil && at.Addr() == mine.Addr() && (mine.Port() == 0 || mine.Port() == at.Port())
	case shared.TransportUnix:
		return address == want
	}
	return address == ""
}
