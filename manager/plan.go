package manager

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/antano/antano/manager/internal/listener"
	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/manager/internal/runtimedir"
	"github.com/antano/antano/manager/internal/settings"
	"github.com/antano/antano/shared"
)

// internalName is the name and internalSocket the file of service 0.
const (
	internalName   = params.InternalName
	internalSocket = "internal.sock"
)

// Plan is what a server is going to run: a pure result of params and of what the
// plugins describe. It holds the services of one server in the order of the file.
type Plan struct {
	ServerID   int
	ServerName string
	RuntimeDir string
	LogDir     string // of params; empty: none
	Services   []PlannedService
	params     *params.Params
	unix       Plugin // runs the internal service; no Path when there is none
}

// PlannedService is one row with its plugin and its process ids.
type PlannedService struct {
	Params     shared.ServiceParams // limits are those of the whole service
	Plugin     Plugin
	ProcessIDs []int
	restart    params.Restart
	execution  execution
	row        params.Row // where it is in the file
}

// makePlan assigns process ids and checks each row against its plugin. The error
// lists everything that is wrong.
func makePlan(p *params.Params, server params.Server, rows []params.Row, plugins map[string]Plugin, executions map[int64]execution, runtimeDir string) (*Plan, error) {
	plan := &Plan{ServerID: server.ID, ServerName: server.Name, RuntimeDir: runtimeDir, LogDir: p.LogDir, params: p}
	transports := make(map[string]shared.Transport)
	for name, plugin := range plugins {
		transports[name] = plugin.Description.Transport
	}
	for i, row := range rows { // before addresses are compared
		if transports[row.ServiceType] == shared.TransportUnix && row.Endpoint != "" && !filepath.IsAbs(row.Endpoint) {
			rows[i].Endpoint = filepath.Join(runtimeDir, row.Endpoint)
		}
	}
	var issues params.Errors
	if err := params.Resolve(rows, transports); err != nil {
		more, ok := err.(params.Errors)
		if !ok {
			return nil, err
		}
		issues = append(issues, more...)
	}
	next := 1
	for _, row := range rows {
		plugin, ok := plugins[row.ServiceType]
		if !ok {
			continue // its absence was reported when it was looked for
		}
		issues = append(issues, checkRow(row, plugin, executions[row.ID], runtimeDir)...)
		s := PlannedService{Params: row.ServiceParams, Plugin: plugin, restart: row.Restart, execution: executions[row.ID], row: row}
		for range row.Processes {
			s.ProcessIDs = append(s.ProcessIDs, next)
			next++
		}
		plan.Services = append(plan.Services, s)
	}
	if len(issues) > 0 {
		return nil, configError{issues}
	}
	return plan, nil
}

// checkRow holds a row against what its plugin describes.
func checkRow(row params.Row, plugin Plugin, e execution, runtimeDir string) params.Errors {
	var issues params.Errors
	d := plugin.Description
	if !slices.Contains(d.FormatsIn, row.MessageFormatIn) {
		issues = append(issues, row.Issue("message_format_in", "is %s, which plugin %s does not read; it reads %s", row.MessageFormatIn, d.Name, formats(d.FormatsIn)))
	}
	if !slices.Contains(d.FormatsOut, row.MessageFormatOut) {
		issues = append(issues, row.Issue("message_format_out", "is %s, which plugin %s does not write; it writes %s", row.MessageFormatOut, d.Name, formats(d.FormatsOut)))
	}
	if within, ok := strings.CutPrefix(filepath.Clean(row.Endpoint), runtimeDir+"/"); ok && d.Transport == shared.TransportUnix {
		if strings.Contains(within, "/") {
			issues = append(issues, row.Issue("endpoint", "is in a directory below the runtime directory %s, where only antano makes directories; use one elsewhere", runtimeDir))
		} else if runtimedir.Reserved(within) {
			issues = append(issues, row.Issue("endpoint", "is %s, a name that antano itself uses in its runtime directory; choose another", within))
		}
	}
	if e.as != nil {
		if err := e.as.MayExecute(plugin.Path); err != nil {
			issues = append(issues, row.Issue("run_as", "cannot run the plugin: %v", err))
		}
	}
	if text := settings.Check(row.Settings, d.Settings); text != "" {
		issues = append(issues, row.Issue("settings", "%s", text))
	}
	return issues
}

func formats(ids []shared.FormatID) string {
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	return strings.Join(names, ", ")
}

// internalService is service 0: a unix stream service of the manager's own. Source:
// docs/architecture.md "Start-up", the seed's start_internal_service.
func internalService(runtimeDir string, serverID int, plugin Plugin, restart params.Restart) PlannedService {
	return PlannedService{
		Plugin: plugin, ProcessIDs: []int{0}, restart: restart, execution: ownExecution,
		Params: shared.ServiceParams{
			ID: 0, AntanoServerID: serverID, ServiceTypeID: shared.TypeUnix, ServiceType: "unix", Name: internalName,
			Endpoint: filepath.Join(runtimeDir, internalSocket), Mode: 0o600, SocketType: shared.SocketStream,
			MessageFormatIn: shared.FormatJSON, MessageFormatOut: shared.FormatJSON,
			FramingIn: shared.FramingLine, FramingOut: shared.FramingLine,
			Processes: 1, Backlog: listener.DefaultBacklog, Limits: shared.DefaultLimits(),
		},
	}
}

// address is where a planned service will listen, for people.
func (s PlannedService) address() string {
	switch s.Plugin.Description.Transport {
	case shared.TransportUnix:
		return s.Params.Endpoint
	case shared.TransportTCP, shared.TransportUDP:
		return hostPort(s.Params.Host, s.Params.Port)
	}
	return "no socket"
}

// resolved is address with a host's name replaced by the address that is bound.
func (s PlannedService) resolved() string {
	switch s.Plugin.Description.Transport {
	case shared.TransportTCP, shared.TransportUDP:
		if address, err := listener.Address(s.Params.Host, s.Params.Port); err == nil {
			return address
		}
	}
	return s.address()
}

// WriteTo prints the plan for people.
func (p *Plan) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "server %d (%s), runtime directory %s\n", p.ServerID, p.ServerName, p.RuntimeDir)
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVICE\tNAME\tTYPE\tADDRESS\tFORMATS\tPROCESSES\tPLUGIN")
	for _, s := range p.Services {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Params.ID, s.Params.Name, s.Params.ServiceType, s.address(),
			describeFormats(s.Params), idRange(s.ProcessIDs), s.Plugin.Path)
	}
	if err := tw.Flush(); err != nil {
		return 0, err
	}
	for _, s := range p.Services {
		if text := s.execution.describe(); text != "" {
			fmt.Fprintf(&b, "service %d %s runs with %s\n", s.Params.ID, s.Params.Name, text)
		}
	}
	if p.LogDir != "" {
		fmt.Fprintf(&b, "the log is kept in %s\n", p.LogDir)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func describeFormats(p shared.ServiceParams) string {
	in, out := p.MessageFormatIn.String(), p.MessageFormatOut.String()
	if p.FramingIn != shared.FramingNone {
		in, out = in+"/"+string(p.FramingIn), out+"/"+string(p.FramingOut)
	}
	if in == out {
		return in
	}
	return in + " in, " + out + " out"
}

func idRange(ids []int) string {
	if len(ids) == 1 {
		return fmt.Sprint(ids[0])
	}
	return fmt.Sprintf("%d-%d", ids[0], ids[len(ids)-1])
}
