package manager

import (
	"os"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/shared"
)

// How a service of the predecessor goes on, by what runs of it and what the row is now.
func TestInheritanceFor(t *testing.T) {
	row := PlannedService{
		Plugin: Plugin{Type: "t", Path: "/p", SHA256: "aa", Description: shared.Description{Transport: shared.TransportTCP}},
		Params: shared.ServiceParams{ID: 2, ServiceType: "t", Name: "chat", Host: "127.0.0.1", Port: 80, Processes: 2},
	}
	global := &params.Params{}
	config := fingerprint(row, global)
	state := func(ready bool) runtimedir.StateService {
		return runtimedir.StateService{
			ID: 2, Type: "t", Name: "chat", Address: "127.0.0.1:80", Config: config, IDs: []int{1, 2}, Params: encoded(row.Params),
			Path: "/p", SHA256: "aa", Description: encoded(row.Plugin.Description),
			Processes: []runtimedir.StateProcess{{ID: 1, PID: os.Getpid(), StartTime: launch.OwnStartTime(), Ready: ready, Config: config}},
		}
	}
	type outcome struct{ goesOn, former, stale, launches, changed bool }
	for name, c := range map[string]struct {
		state func(*runtimedir.StateService)
		row   func(*PlannedService)
		idle  bool // nothing serves
		want  outcome
	}{
		"the same":                     {want: outcome{goesOn: true}},
		"another limit":                {row: func(r *PlannedService) { r.Params.Backlog = 7 }, want: outcome{true, true, false, true, true}},
		"another plugin":               {row: func(r *PlannedService) { r.Plugin.SHA256 = "bb" }, want: outcome{true, true, false, false, true}},
		"another environment":          {row: func(r *PlannedService) { r.execution.env = []string{"A=1"} }, want: outcome{true, true, true, true, true}},
		"another address":              {row: func(r *PlannedService) { r.Params.Port = 81 }, want: outcome{true, true, false, true, true}},
		"another number":               {row: func(r *PlannedService) { r.Params.Processes = 5 }, want: outcome{goesOn: true, changed: true}},
		"another type":                 {row: func(r *PlannedService) { r.Params.ServiceType = "u" }, want: outcome{true, true, false, true, true}},
		"no row":                       {row: func(r *PlannedService) { r.Params.ID = 3 }, want: outcome{true, true, false, false, true}},
		"in the middle of a rollout":   {state: func(s *runtimedir.StateService) { s.Processes[0].Config = "other" }, want: outcome{true, true, true, true, true}},
		"idle, the same":               {idle: true, want: outcome{goesOn: true}},
		"idle, another limit":          {idle: true, row: func(r *PlannedService) { r.Params.Backlog = 7 }, want: outcome{goesOn: true}},
		"idle, another address":        {idle: true, row: func(r *PlannedService) { r.Params.Port = 81 }},
		"idle, no row":                 {idle: true, row: func(r *PlannedService) { r.Params.ID = 3 }},
		"stopped, another address":     {idle: true, state: func(s *runtimedir.StateService) { s.Stopped = []int{1, 2} }, row: func(r *PlannedService) { r.Params.Port = 81 }, want: outcome{goesOn: true}},
		"half stopped, other address":  {idle: true, state: func(s *runtimedir.StateService) { s.Stopped = []int{1} }, row: func(r *PlannedService) { r.Params.Port = 81 }},
		"a state that makes no sense":  {state: func(s *runtimedir.StateService) { s.Params = []byte("[]") }},
		"a state of something else":    {state: func(s *runtimedir.StateService) { s.ID = 3 }},
		"scaled by command, as it was": {state: func(s *runtimedir.StateService) { s.IDs = []int{1, 2, 3} }, want: outcome{goesOn: true}},
	} {
		st, next := state(!c.idle), row
		if c.state != nil {
			c.state(&st)
		}
		if c.row != nil {
			c.row(&next)
		}
		s := &Server{plan: &Plan{Services: []PlannedService{next}, params: global}, cfg: Config{Logger: hclog.NewNullLogger()}}
		in := s.inheritanceFor(st)
		got := outcome{goesOn: in != nil, changed: s.changed}
		if in != nil {
			got.former, got.stale, got.launches = in.former, in.stale, in.launches
			if in.row.Params.Processes != 2 {
				t.Errorf("%s: the row names %d processes", name, in.row.Params.Processes)
			}
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
