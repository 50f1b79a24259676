package manager

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/runtimedir"
)

// inheritanceFor says how a service of the predecessor goes on: as the row of now when
// nothing is different or nothing of it runs, else as the row that it had, until a reload
// has carried out the difference. It is nil when it does not go on.
func (s *Server) inheritanceFor(st runtimedir.StateService) *inheritance {
	in := &inheritance{state: st}
	next, was, err := s.planned(st.ID), PlannedService{}, error(nil)
	if was, err = formerRow(st); err != nil {
		s.cfg.Logger.Error("a service of the last manager does not go on", "service", st.Name, "err", err)
		return nil
	}
	switch serves := serves(st); {
	case serves && next != nil && next.succeeds(st) && runsThat(st, *next, s.plan):
		in.row = *next
	case serves:
		in.row, in.former = was, true
		in.row.restart, in.row.execution = s.plan.params.Restart, ownExecution
	case next != nil && (next.succeeds(st) || in.stopped()):
		in.row = *next
	default:
		return nil
	}
	if in.former && next != nil {
		in.row.restart, in.row.execution, in.row.row = next.restart, next.execution, next.row
		in.stale = fingerprint(in.row, s.plan.params) != st.Config
		in.launches = next.Plugin.SHA256 == was.Plugin.SHA256
	}
	in.stale = in.stale || in.former && mixed(st)
	in.row.Params.Processes = was.Params.Processes
	s.changed = s.changed || in.former || next.Params.Processes != was.Params.Processes
	return in
}

// formerRow is the row that a service of the predecessor had, as far as the state has it.
func formerRow(st runtimedir.StateService) (row PlannedService, err error) {
	row.Plugin = Plugin{Type: st.Type, Path: st.Path, SHA256: st.SHA256}
	if err := json.Unmarshal(st.Params, &row.Params); err != nil {
		return row, fmt.Errorf("its params: %w", err)
	}
	if err := json.Unmarshal(st.Description, &row.Plugin.Description); err != nil {
		return row, fmt.Errorf("its description: %w", err)
	}
	if row.Params.ID != st.ID || row.Params.ServiceType != st.Type {
		return row, fmt.Errorf("its params are those of service %d of type %s", row.Params.ID, row.Params.ServiceType)
	}
	return row, nil
}

// serves reports whether a process of the service can be adopted.
func serves(st runtimedir.StateService) bool {
	return slices.ContainsFunc(st.Processes, func(p runtimedir.StateProcess) bool {
		return p.Ready && launch.IsRunning(p.PID, p.StartTime)
	})
}

// runsThat reports whether all processes of the service were launched from the row.
func runsThat(st runtimedir.StateService, row PlannedService, plan *Plan) bool {
	return st.Config == fingerprint(row, plan.params) && !mixed(st)
}

// mixed reports whether some were launched from something else than the next would be.
func mixed(st runtimedir.StateService) bool {
	return slices.ContainsFunc(st.Processes, func(p runtimedir.StateProcess) bool { return p.Config != st.Config })
}

// planned is the row of now with an id, nil without one.
func (s *Server) planned(id int64) *PlannedService {
	for _, row := range s.plan.Services {
		if row.Params.ID == id {
			return &row
		}
	}
	if id != 0 || s.plan.unix.Path == "" {
		return nil
	}
	row := internalService(s.plan.RuntimeDir, s.plan.ServerID, s.plan.unix, s.plan.params.Restart)
	return &row
}

// stopped reports whether every process was stopped by command.
func (in *inheritance) stopped() bool {
	runs := len(in.state.IDs) - len(in.state.Retired)
	return runs > 0 && len(in.state.Stopped) == runs
}

// sockets are those that the service goes on with; nil when it binds its own.
func (in *inheritance) sockets() *spec {
	switch {
	case in.group != nil || in.state.Address == "":
		return &spec{group: in.group, bound: in.state.Address}
	case in.stopped() && in.row.boundTo(in.state.Address):
		return &spec{bound: in.state.Address} // bound again when it is started
	case in.stopped():
		return &spec{bound: in.row.address()}
	}
	return nil
}

// spec is what a service runs that goes on as it was. Processes that end meanwhile are
// started again only if that is certain to be the same.
func (in *inheritance) spec(a assembly, s *Server) (_ *spec, err error) {
	sp := &spec{plan: a.row, params: a.params, stale: in.stale}
	if in.launches {
		if sp.binary, err = a.row.Plugin.open(); err != nil {
			return nil, err
		}
	}
	if err := sp.listen(a.like, s.given); err != nil {
		drop([]*spec{sp}, nil)
		return nil, err
	}
	return sp, nil
}

// rows are what runs first: what goes on of the predecessor, in the order of params, and
// what is new. While a reload has to change something, that adds what is new, which may
// want an address that is to become free.
func (s *Server) rows() (rows []PlannedService) {
	for _, row := range s.plan.Services {
		switch in := s.inherited[row.Params.ID]; {
		case in != nil:
			rows = append(rows, in.row)
		case len(s.predecessor.Services) == 0:
			rows = append(rows, row)
		case !s.changed:
			row.ProcessIDs = nil // those of the plan may have been somebody's
			rows = append(rows, row)
		}
	}
	for _, st := range s.predecessor.Services {
		if in := s.inherited[st.ID]; in != nil && st.ID != 0 && s.planned(st.ID) == nil {
			rows = append(rows, in.row)
		}
	}
	return rows
}
