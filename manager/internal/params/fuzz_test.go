package params

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// FuzzParse: no text makes Parse panic; what is wrong is told line by line; what is
// right can be written out, fits the schema and means the same when read again.
func FuzzParse(f *testing.F) {
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("f", data)
		if err != nil {
			checkIssues(t, data, err)
			return
		}
		text, err := json.Marshal(file(p))
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		if err := validate(schema, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := Parse("f.json", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if a, b := meaning(t, p), meaning(t, again); a != b {
			t.Fatalf("%s\nmeans first  %s\nand then     %s", text, a, b)
		}
	})
}

var yamlBreak = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

func checkIssues(t *testing.T, data []byte, err error) {
	var issues Errors
	if !errors.As(err, &issues) || len(issues) == 0 {
		t.Fatalf("got %v, want Errors", err)
	}
	// The YAML parser breaks lines as YAML 1.1 does, and ends an empty node behind the last.
	lines, last := len(yamlBreak.FindAllIndex(data, -1))+2, 1
	for _, i := range issues {
		if i.Line < last || i.Line > lines || i.Text == "" || strings.ContainsAny(i.String(), "\n\r\x00") {
			t.Fatalf("%q of %d lines after line %d", i, lines, last)
		}
		last = i.Line
	}
}

// meaning is p without the lines that it came from.
func meaning(t *testing.T, p *Params) string {
	for i := range p.Services {
		p.Services[i].Line = 0
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type object = map[string]any

// file writes params as a params file with everything spelled out.
func file(p *Params) object {
	servers, types, rows := []object{}, []object{}, []object{}
	for _, s := range p.Servers {
		servers = append(servers, object{"id": s.ID, "name": s.Name})
	}
	for _, t := range p.Types[len(builtinTypes):] {
		types = append(types, some(object{"id": t.ID, "name": t.Name}))
	}
	for i := range p.Services {
		rows = append(rows, fileRow(&p.Services[i]))
	}
	return object{
		"antano_server": servers, "service_type": types, "active_service": rows,
		"restart":   fileRestart(p.Restart),
		"health":    object{"interval": p.Health.Interval.String(), "timeout": p.Health.Timeout.String(), "misses": p.Health.Misses},
		"timeouts":  object{"start": p.Timeouts.Start.String(), "drain": p.Timeouts.Drain.String(), "stop": p.Timeouts.Stop.String(), "handler": p.Timeouts.Handler.String()},
		"push_back": p.PushBack.String(), "adoption_window": p.AdoptionWindow.String(),
	}
}

func fileRow(r *Row) object {
	o := some(object{
		"service_type_id": r.ServiceTypeID, "host": r.Host, "endpoint": r.Endpoint,
		"framing": string(r.framing), "socket_type": r.SocketType, "backlog": r.Backlog,
	})
	o["id"], o["antano_server_id"], o["service_type"], o["name"], o["port"] = r.ID, r.AntanoServerID, r.ServiceType, r.Name, r.Port
	o["message_format_in_id"], o["message_format_out"] = r.MessageFormatIn, r.MessageFormatOut.String()
	o["processes"], o["restart"] = r.Processes, fileRestart(r.Restart)
	o["limits"] = object{
		"max_message_bytes": r.Limits.MaxMessageBytes, "max_clients": r.Limits.MaxClients,
		"client_queue_bytes": r.Limits.ClientQueueBytes, "process_queue_bytes": r.Limits.ProcessQueueBytes,
		"idle_timeout": r.Limits.IdleTimeout.String(),
	}
	if r.SocketType != "" {
		o["mode"] = fmt.Sprintf("%04o", r.Mode)
	}
	if !r.ForwardTo.IsZero() {
		o["forward_to"] = r.ForwardTo
	}
	if r.Settings != nil {
		o["settings"] = r.Settings
	}
	return o
}

func fileRestart(r Restart) object {
	return object{"delay": r.Delay.String(), "max_delay": r.MaxDelay.String(), "limit": r.Limit,
		"window": r.Window.String(), "probe": r.Probe.String()}
}

// some drops the keys that have no value.
func some(o object) object {
	for k, v := range o {
		if v == 0 || v == "" {
			delete(o, k)
		}
	}
	return o
}
