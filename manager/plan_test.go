package manager

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/antano/antano/manager/internal/params"
	"github.com/antano/antano/shared"
)

// fakePlugins describe themselves as the built-in ones do; `pipe` is a third party's
// on Unix sockets, `quiet` one that knows JSON alone and has no sockets.
func fakePlugins() map[string]Plugin {
	all := []shared.FormatID{shared.FormatJSON, shared.FormatMsgpack, shared.FormatText, shared.FormatBinary}
	plugins := make(map[string]Plugin)
	for name, transport := range map[string]shared.Transport{
		"udp": shared.TransportUDP, "tcp": shared.TransportTCP, "unix": shared.TransportUnix,
		"pipe": shared.TransportUnix, "quiet": shared.TransportNone,
	} {
		d := shared.Description{Name: "antano-service-" + name, ServiceType: name, Transport: transport, FormatsIn: all, FormatsOut: all}
		if name == "quiet" {
			d.FormatsIn, d.FormatsOut = all[:1], all[:1]
		}
		plugins[name] = Plugin{Type: name, Path: "/p/antano-service-" + name, Description: d}
	}
	return plugins
}

func plan(t *testing.T, text string) (*Plan, error) {
	t.Helper()
	p, err := params.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	server, rows, err := p.SelectServer(0, false)
	if err != nil {
		t.Fatal(err)
	}
	return makePlan(p, server, rows, fakePlugins(), nil, "/run/a/1")
}

// TestPlan assigns process ids in the order of the file and puts relative endpoints
// into the runtime directory.
func TestPlan(t *testing.T) {
	got, err := plan(t, `
num_of_process: 3
service_type: [{name: pipe}, {name: quiet}]
active_service:
  - {id: 7, service_type: tcp, port: 1}
  - {id: 3, service_type: unix, endpoint: a.sock, processes: 1}
  - {id: 9, service_type: pipe, endpoint: b.sock, processes: 2}
  - {id: 5, service_type: unix, endpoint: /run/a/c.sock, processes: 1}
  - {id: 1, service_type: quiet, processes: 1}
`)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range got.Services {
		lines = append(lines, fmt.Sprint(s.Params.ID, " ", s.ProcessIDs, " ", s.address()))
	}
	want := []string{"7 [1 2 3] 0.0.0.0:1", "3 [4] /run/a/1/a.sock", "9 [5 6] /run/a/1/b.sock", "5 [7] /run/a/c.sock", "1 [8] no socket"}
	if !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

// TestPlanRefuses holds rows against what their plugins describe and against the
// runtime directory; all mistakes are told at once, each where it is.
func TestPlanRefuses(t *testing.T) {
	_, err := plan(t, `
service_type: [{name: pipe}, {name: quiet}]
active_service:
  - {id: 1, service_type: unix, endpoint: a.sock}
  - {id: 2, service_type: unix, endpoint: /run/a/1/a.sock}
  - {id: 3, service_type: unix, endpoint: /run/a/1/relay.sock}
  - {id: 4, service_type: unix, endpoint: lock}
  - {id: 5, service_type: unix, endpoint: p12}
  - {id: 6, service_type: pipe, endpoint: control.sock}
  - {id: 7, service_type: pipe, endpoint: sub/x.sock}
  - {id: 8, service_type: pipe}
  - {id: 9, service_type: unix, endpoint: `+strings.Repeat("l", 100)+`}
  - {id: 10, service_type: quiet, message_format_in: msgpack, message_format_out: text}
  - {id: 11, service_type: tcp, port: 0, settings: {any: 1}}
`)
	var issues params.Errors
	if !errors.As(err, &issues) || ExitCode(err) != shared.ExitConfig {
		t.Fatalf("exit %d: %v", ExitCode(err), err)
	}
	want := []string{
		"p.yaml:5: active_service[1].endpoint: already that of service 1",
		"p.yaml:6: active_service[2].endpoint: relay.sock",
		"p.yaml:7: active_service[3].endpoint: lock",
		"p.yaml:8: active_service[4].endpoint: p12",
		"p.yaml:9: active_service[5].endpoint: control.sock",
		"p.yaml:10: active_service[6].endpoint: below the runtime directory",
		"p.yaml:11: active_service[7].endpoint: must be the path",
		"p.yaml:12: active_service[8].endpoint: 109",
		"p.yaml:13: active_service[9].message_format_in: msgpack",
		"p.yaml:13: active_service[9].message_format_out: text",
		"p.yaml:14: active_service[10].settings: any",
	}
	slices.SortStableFunc(issues, func(a, b params.Issue) int { return a.Line - b.Line })
	if len(issues) != len(want) {
		t.Errorf("%d mistakes, want %d:\n%v", len(issues), len(want), err)
	}
	for i, w := range want {
		at, says, _ := strings.Cut(w, ": ")
		key, says, _ := strings.Cut(says, ": ")
		if i < len(issues) && (!strings.HasPrefix(issues[i].String(), at+": "+key+": ") || !strings.Contains(issues[i].Text, says)) {
			t.Errorf("got %s, want %s", issues[i], w)
		}
	}
}
