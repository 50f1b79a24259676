package params

import (
	"errors"
	"strings"
	"testing"

	"github.com/antano/antano/shared"
)

func parse(t *testing.T, in string) *Params {
	t.Helper()
	p, err := Parse("f", []byte(in))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestResolve completes rows of a third-party type by what its plugin listens on.
func TestResolve(t *testing.T) {
	in := "service_type: [{name: mqtt}]\n" + row("service_type: mqtt, port: 7, message_format_out: binary")
	p := parse(t, in)
	if r := p.Services[0]; r.Host != "" || r.FramingIn != shared.FramingNone {
		t.Errorf("completed before its transport is known: %+v", r)
	}
	if err := Resolve(p.Services, map[string]shared.Transport{"mqtt": shared.TransportTCP}); err != nil {
		t.Fatal(err)
	}
	r := p.Services[0]
	if r.Host != "0.0.0.0" || r.FramingIn != shared.FramingLine || r.FramingOut != shared.FramingLength32 || r.Mode != 0 {
		t.Errorf("got %+v", r)
	}
	if err := Resolve(p.Services, map[string]shared.Transport{"mqtt": shared.TransportTCP}); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

func TestResolveIssues(t *testing.T) {
	const types = "service_type: [{id: 101, name: mqtt}]\n"
	tests := []struct {
		name, in  string
		transport shared.Transport
		want      string
	}{
		{"port missing", types + row("service_type: mqtt"), shared.TransportTCP, "f:3: active_service[0].port: is missing"},
		{"endpoint missing", types + row("service_type: mqtt"), shared.TransportUnix, "f:3: active_service[0].endpoint: must be the path"},
		{"framing of datagrams", types + row("service_type: mqtt, port: 1, framing: line"), shared.TransportUDP, "f:3: active_service[0].framing: has no meaning"},
		{"clash with a built-in type", types + row("service_type: mqtt, port: 1") + "  - {id: 2, service_type: tcp, port: 1}\n",
			shared.TransportTCP, "f:4: active_service[1].port: tcp 0.0.0.0:1 is used twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows := parse(t, tt.in).Services
			err := Resolve(rows, map[string]shared.Transport{"mqtt": tt.transport})
			var issues Errors
			if !errors.As(err, &issues) || len(issues) != 1 || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	for _, transport := range []shared.Transport{shared.TransportUDP, shared.TransportNone} {
		if err := Resolve(parse(t, types+row("service_type: mqtt, port: 1")).Services, map[string]shared.Transport{"mqtt": transport}); err != nil {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

// TestResolveAfterHost: hosts that are replaced can make addresses clash.
func TestResolveAfterHost(t *testing.T) {
	rows := parse(t, row("service_type: tcp, port: 1, host: 127.0.0.1")+"  - {id: 2, service_type: tcp, port: 1, host: 127.0.0.2}\n").Services
	for i := range rows {
		rows[i].Host = "127.0.0.9"
	}
	if err := Resolve(rows, nil); err == nil || !strings.Contains(err.Error(), "tcp 127.0.0.9:1 is used twice") {
		t.Errorf("got %v", err)
	}
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"0.0.0.0", "127.0.0.1", true},
		{"", "10.0.0.1", true},
		{"0.0.0.0", "::1", false},
		{"0.0.0.0", "::", true},
		{"::", "::1", true},
		{"::", "10.0.0.1", true},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"0:0:0:0:0:0:0:1", "::1", true},
		{"localhost", "127.0.0.1", true},
		{"localhost", "127.0.0.2", false},
		{"Example.org", "example.org", true},
		{"example.org", "127.0.0.1", false},
		{"example.org", "0.0.0.0", true},
		{"::", "example.org", true},
	}
	for _, tt := range tests {
		for _, hosts := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			var l listeners
			var first, second Row
			l.add(&first, hosts[0])
			if other := l.add(&second, hosts[1]); (other == &first) != tt.want {
				t.Errorf("%q and then %q overlap: %v, want %v", hosts[0], hosts[1], !tt.want, tt.want)
			}
		}
	}
}

// TestRowIssue finds the line of the key, or of what the key is in.
func TestRowIssue(t *testing.T) {
	r := parse(t, "active_service:\n  - id: 1\n    service_type: tcp\n    port: 1\n    settings: {a: 1}\n").Services[0]
	for key, want := range map[string]string{
		"port":       "f:4: active_service[0].port: is 5",
		"settings.a": "f:5: active_service[0].settings.a: is 5",
		"mode":       "f:2: active_service[0].mode: is 5",
		"":           "f:2: active_service[0]: is 5",
	} {
		if got := r.Issue(key, "is %d", 5).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
