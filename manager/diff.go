package manager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// found is a service as a reload finds it.
type found struct {
	row       PlannedService
	params    *params.Params
	processes int
	mixed     bool   // some processes do not run the row: an earlier change was not completed
	bound     string // where it listens
}

type changeKind uint8

const (
	changeNone    changeKind = iota // it stays as it is, but perhaps for the number of its processes
	changeAdjust                    // its processes stay, how they are looked after changes
	changeReplace                   // its processes are replaced one after another
	changeRenew                     // it is stopped and started anew
	changeAdd
	changeRemove
)

// change is what a reload does to one service.
type change struct {
	kind    changeKind
	row     PlannedService // what is to run; of one that is removed, what runs
	reasons []string       // what is different
	from    int            // how many processes there are
	to      int            // and are to be
	rebind  bool           // it listens elsewhere
}

// diff compares what runs with what is to run: in the order of the new rows, then what
// is removed. It is pure.
func diff(now []found, next []PlannedService, p *params.Params) []change {
	var changes []change
	known := make(map[int64]bool)
	for _, row := range next {
		known[row.Params.ID] = true
		i := slices.IndexFunc(now, func(r found) bool { return r.row.Params.ID == row.Params.ID })
		if i < 0 {
			changes = append(changes, change{kind: changeAdd, row: row, to: row.Params.Processes})
			continue
		}
		changes = append(changes, compare(now[i], row, p))
	}
	for _, r := range now {
		if !known[r.row.Params.ID] {
			changes = append(changes, change{kind: changeRemove, row: r.row, from: r.processes})
		}
	}
	return changes
}

// compare finds what is different about one service.
func compare(r found, next PlannedService, p *params.Params) change {
	c := change{row: next, from: r.processes, to: next.Params.Processes}
	a, b := keys(r.row.Params), keys(next.Params)
	for _, key := range slices.Sorted(maps.Keys(merged(a, b))) {
		if bytes.Equal(a[key], b[key]) {
			continue
		}
		c.reasons = append(c.reasons, key+": "+shown(key, a[key])+" → "+shown(key, b[key]))
		c.kind = max(c.kind, kindOf(key))
	}
	c.add(changeReplace, pluginChange(r.row.Plugin, next.Plugin))
	for _, reason := range executionChanges(r.row.execution, next.execution) {
		c.add(changeReplace, reason)
	}
	for _, g := range globalChanges(r, next, p) {
		c.add(g.kind, g.text)
	}
	if r.mixed {
		c.add(changeReplace, "an earlier change was not completed")
	}
	if r.row.Plugin.Description.Transport != next.Plugin.Description.Transport {
		c.kind = changeRenew
	}
	c.rebind = c.kind >= changeReplace && !listensAt(r, next)
	return c
}

func (c *change) add(kind changeKind, reason string) {
	if reason != "" {
		c.reasons = append(c.reasons, reason)
		c.kind = max(c.kind, kind)
	}
}

// kindOf says what a change of a key of ServiceParams takes.
func kindOf(key string) changeKind {
	switch key {
	case "service_type", "service_type_id", "socket_type":
		return changeRenew
	case "mode", "backlog":
		return changeAdjust
	}
	return changeReplace
}

// keys are the params of a service by key, those of limits one by one.
func keys(p shared.ServiceParams) map[string]json.RawMessage {
	all := make(map[string]json.RawMessage)
	for prefix, v := range map[string]any{"": p, "limits.": p.Limits} {
		var some map[string]json.RawMessage
		b, err := json.Marshal(v)
		if err != nil || json.Unmarshal(b, &some) != nil {
			continue // they were made from JSON
		}
		for key, value := range some {
			all[prefix+key] = value
		}
	}
	delete(all, "limits")
	delete(all, "processes") // has a line of its own
	return all
}

func merged[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// maxShown is how much of a value is shown.
const maxShown = 60

func shown(key string, value json.RawMessage) string {
	var d time.Duration
	switch {
	case value == nil:
		return "nothing"
	case key == "limits.idle_timeout" && json.Unmarshal(value, &d) == nil:
		return d.String()
	case len(value) > maxShown:
		return string(value[:maxShown]) + "…"
	}
	return string(value)
}

// pluginChange says how the plugin of a service has changed.
func pluginChange(a, b Plugin) string {
	switch {
	case a.SHA256 == b.SHA256 && a.Path == b.Path:
		return ""
	case a.Path != b.Path:
		return "plugin: " + a.Path + " → " + b.Path
	}
	return fmt.Sprintf("plugin %s changed on disk (%s → %s)", b.Path, a.Description.Version, b.Description.Version)
}

type globalChange struct {
	kind changeKind
	text string
}

// globalChanges are those of params that hold for all services. What a process is told
// at its start needs another one; the rest is about how it is looked after.
func globalChanges(r found, next PlannedService, p *params.Params) (all []globalChange) {
	differ := func(kind changeKind, key string, a, b any) {
		if a != b {
			all = append(all, globalChange{kind, fmt.Sprintf("%s: %v → %v", key, a, b)})
		}
	}
	was := r.params
	differ(changeReplace, "push_back", was.PushBack, p.PushBack)
	differ(changeReplace, "timeouts.handler", was.Timeouts.Handler, p.Timeouts.Handler)
	differ(changeReplace, "adoption_window", was.AdoptionWindow, p.AdoptionWindow)
	differ(changeAdjust, "timeouts.start", was.Timeouts.Start, p.Timeouts.Start)
	differ(changeAdjust, "timeouts.drain", was.Timeouts.Drain, p.Timeouts.Drain)
	differ(changeAdjust, "timeouts.stop", was.Timeouts.Stop, p.Timeouts.Stop)
	differ(changeAdjust, "health", was.Health, p.Health)
	differ(changeAdjust, "restart", r.row.restart, next.restart)
	return all
}

// listensAt reports whether a service listens where its next row wants it to.
func listensAt(r found, next PlannedService) bool {
	a, b := r.row.Params, next.Params
	switch next.Plugin.Description.Transport {
	case shared.TransportTCP, shared.TransportUDP:
		return a.Host == b.Host && a.Port == b.Port || next.resolved() == r.bound
	case shared.TransportUnix:
		return a.Endpoint == b.Endpoint
	}
	return true
}

// lines tell a change to people; none when nothing changes.
func (c change) lines() (lines []string) {
	name := "service " + c.row.Params.Name
	why := ""
	if len(c.reasons) > 0 {
		why = " (" + strings.Join(c.reasons, "; ") + ")"
	}
	switch c.kind {
	case changeAdd:
		return []string{fmt.Sprintf("%s: added, %s on %s, %s", name, c.row.Params.ServiceType, c.row.address(), processes(c.to))}
	case changeRemove:
		return []string{fmt.Sprintf("%s: removed with its %s", name, processes(c.from))}
	case changeReplace:
		lines = append(lines, name+": its processes are replaced"+why)
	case changeRenew:
		return []string{name + ": stopped and started anew" + why}
	case changeAdjust:
		lines = append(lines, name+": changed, its processes stay"+why)
	}
	if c.from != c.to {
		lines = append(lines, fmt.Sprintf("%s: %d → %s", name, c.from, processes(c.to)))
	}
	return lines
}

// processes is so many of them, for people.
func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}
