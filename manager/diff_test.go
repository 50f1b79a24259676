package manager

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

func plannedTCP(id int64, name string, port int) PlannedService {
	return PlannedService{
		Params: shared.ServiceParams{ID: id, Name: name, ServiceType: "tcp", ServiceTypeID: 2, Host: "127.0.0.1", Port: port, Processes: 2,
			Backlog: 100, MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON, Limits: shared.DefaultLimits()},
		Plugin: Plugin{Type: "tcp", Path: "/plugins/tcp", SHA256: "aa", Description: shared.Description{Version: "1.0.0", Transport: shared.TransportTCP, Handover: true}},
	}
}

// TestDiff is the truth table of a reload: what has changed, and what that takes.
func TestDiff(t *testing.T) {
	base := params.Params{PushBack: time.Second, Timeouts: params.Timeouts{Drain: time.Second, Handler: time.Second}}
	for name, c := range map[string]struct {
		edit   func(*PlannedService)
		global func(*params.Params)
		found  func(*found)
		kind   changeKind
		rebind bool
		says   string // of the lines, joined; empty: none
	}{
		"nothing":              {},
		"limits":               {edit: func(s *PlannedService) { s.Params.Limits.MaxClients = 7 }, kind: changeReplace, says: "chat: its processes are replaced (limits.max_clients: 100000 → 7)"},
		"idle time":            {edit: func(s *PlannedService) { s.Params.Limits.IdleTimeout = time.Minute }, kind: changeReplace, says: "limits.idle_timeout: 0s → 1m0s"},
		"format":               {edit: func(s *PlannedService) { s.Params.MessageFormatOut = shared.FormatMsgpack }, kind: changeReplace, says: "message_format_out_id: 1 → 2"},
		"name":                 {edit: func(s *PlannedService) { s.Params.Name = "talk" }, kind: changeReplace, says: `talk: its processes are replaced (name: "chat" → "talk")`},
		"settings":             {edit: func(s *PlannedService) { s.Params.Settings = []byte(`{"a":1}`) }, kind: changeReplace, says: `settings: nothing → {"a":1}`},
		"long settings":        {edit: func(s *PlannedService) { s.Params.Settings = []byte(`{"a":"` + strings.Repeat("x", 100) + `"}`) }, kind: changeReplace, says: `xxx…)`},
		"port":                 {edit: func(s *PlannedService) { s.Params.Port = 9 }, kind: changeReplace, rebind: true, says: "→ 9"},
		"the port it has":      {edit: func(s *PlannedService) { s.Params.Port = 18002 }, kind: changeReplace, says: "→ 18002"},
		"host":                 {edit: func(s *PlannedService) { s.Params.Host = "127.0.0.2" }, kind: changeReplace, rebind: true, says: `host: "127.0.0.1" → "127.0.0.2"`},
		"backlog":              {edit: func(s *PlannedService) { s.Params.Backlog = 9 }, kind: changeAdjust, says: "chat: changed, its processes stay (backlog: 100 → 9)"},
		"backlog and limits":   {edit: func(s *PlannedService) { s.Params.Backlog, s.Params.Limits.MaxClients = 9, 7 }, kind: changeReplace, says: "backlog: 100 → 9; limits.max_clients"},
		"type":                 {edit: func(s *PlannedService) { s.Params.ServiceType = "tcp2" }, kind: changeRenew, says: `stopped and started anew (service_type: "tcp" → "tcp2")`},
		"transport":            {edit: func(s *PlannedService) { s.Plugin.Description.Transport, s.Plugin.SHA256 = "none", "bb" }, kind: changeRenew, says: "stopped and started anew (plugin /plugins/tcp changed on disk"},
		"plugin":               {edit: func(s *PlannedService) { s.Plugin.SHA256, s.Plugin.Description.Version = "bb", "1.1.0" }, kind: changeReplace, says: "plugin /plugins/tcp changed on disk (1.0.0 → 1.1.0)"},
		"path of the plugin":   {edit: func(s *PlannedService) { s.Plugin.Path = "/other/tcp" }, kind: changeReplace, says: "plugin: /plugins/tcp → /other/tcp"},
		"more processes":       {edit: func(s *PlannedService) { s.Params.Processes = 4 }, says: "service chat: 2 → 4 processes"},
		"scaled by command":    {found: func(f *found) { f.processes = 8 }, says: "service chat: 8 → 2 processes"},
		"both":                 {edit: func(s *PlannedService) { s.Params.Processes, s.Params.Limits.MaxClients = 1, 7 }, kind: changeReplace, says: "(limits.max_clients: 100000 → 7)\nservice chat: 2 → 1 process"},
		"an unfinished change": {found: func(f *found) { f.mixed = true }, kind: changeReplace, says: "an earlier change was not completed"},
		"restart":              {edit: func(s *PlannedService) { s.restart.Limit = 9 }, kind: changeAdjust, says: "restart: "},
		"push_back":            {global: func(p *params.Params) { p.PushBack = 2 * time.Second }, kind: changeReplace, says: "push_back: 1s → 2s"},
		"handler timeout":      {global: func(p *params.Params) { p.Timeouts.Handler = 2 * time.Second }, kind: changeReplace, says: "timeouts.handler: 1s → 2s"},
		"drain timeout":        {global: func(p *params.Params) { p.Timeouts.Drain = 2 * time.Second }, kind: changeAdjust, says: "timeouts.drain: 1s → 2s"},
		"health":               {global: func(p *params.Params) { p.Health.Misses = 9 }, kind: changeAdjust, says: "health: "},
	} {
		t.Run(name, func(t *testing.T) {
			next, global := plannedTCP(2, "chat", 0), base
			now := found{row: plannedTCP(2, "chat", 0), params: &base, processes: 2, bound: "127.0.0.1:18002"}
			if c.edit != nil {
				c.edit(&next)
			}
			if c.global != nil {
				c.global(&global)
			}
			if c.found != nil {
				c.found(&now)
			}
			changes := diff([]found{now}, []PlannedService{next}, &global)
			if len(changes) != 1 || changes[0].kind != c.kind || changes[0].rebind != c.rebind {
				t.Fatalf("changes are %+v, want kind %d, rebind %t", changes, c.kind, c.rebind)
			}
			lines := strings.Join(changes[0].lines(), "\n")
			if !strings.Contains(lines, c.says) || (lines == "") != (c.says == "") {
				t.Errorf("it says %q, want %q", lines, c.says)
			}
		})
	}
}

// TestDiffOfServices adds and removes whole services, in the order in which they are.
func TestDiffOfServices(t *testing.T) {
	p := &params.Params{}
	var now []found
	for i, name := range []string{"a", "b", "c"} {
		row := plannedTCP(int64(i+1), name, 0)
		now = append(now, found{row: row, params: p, processes: 2})
	}
	changes := diff(now, []PlannedService{plannedTCP(4, "d", 0), plannedTCP(3, "c", 0), plannedTCP(1, "a", 0)}, p)
	var got []string
	for _, c := range changes {
		got = append(got, strings.Join(c.lines(), "\n"))
	}
	want := []string{"service d: added, tcp on 127.0.0.1:0, 2 processes", "", "", "service b: removed with its 2 processes"}
	if !slices.Equal(got, want) {
		t.Errorf("changes are %q, want %q", got, want)
	}
}
