package main_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// said are the lines that process 2 of testdata/misfit prints as `levels`.
var said = []struct{ message, level, extra string }{
	{"from the logger", "warn", "answer=42"},
	{"from a real hclog", "error", "key=7"},
	{"from a real hclog", "error", "module=misfit.store"},
	{"from deep in hclog", "debug", ""},
	{"from hclog", "error", "key=value"},
	{"from slog", "debug", ""},
	{"from logfmt", "warn", "key=value"},
	{"from brackets", "error", ""},
	{"from nobody in particular", "info", ""},
	{"from stdout", "info", "stream=stdout"},
}

// TestTextLogs tags every line of a plugin with who said it, at the level that it
// was said at.
func TestTextLogs(t *testing.T) {
	t.Parallel()
	m := startMisfit(t, "levels")
	for _, want := range said {
		m.logged(want.message)
	}
	m.othersServe()
	pid := m.service("bad").Processes[0].PID
	log := m.stderr.String()
	for _, want := range said {
		line := regexp.MustCompile(`(?m)^\S+ \[` + strings.ToUpper(want.level) + `\] +antano: ` + want.message + `: .*$`).FindString(log)
		for _, field := range []string{"service=bad", "process=2", "generation=1", fmt.Sprint("pid=", pid), want.extra} {
			if !strings.Contains(line, field) {
				t.Errorf("%s: %s is not in %q", want.message, field, line)
			}
		}
	}
}

// TestJSONLogs does the same in JSON: every line of standard error is an object.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(beside, "levels"), append(pluginDirs(t, "levels"), "--log-format", "json")...)
	m := misfit{s, dial(t, "tcp", s.service("tcp").Address)}
	for _, want := range said {
		m.logged(want.message)
	}
	m.othersServe()
	pid := m.service("bad").Processes[0].PID
	s.stop()
	records := map[string]object{}
	for line := range strings.Lines(s.stderr.String()) {
		var o object
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		records[fmt.Sprint(o["@message"])] = o
	}
	for _, want := range said {
		o := records[want.message].want(t, "@level", want.level, "service", "bad", "process", "2", "generation", "1", "pid", fmt.Sprint(pid))
		if key, value, found := strings.Cut(want.extra, "="); found {
			o.want(t, key, value)
		}
	}
	if o := records["process ready"]; o == nil || o["pid"] == nil {
		t.Errorf("the manager's own line is %v", o)
	}
}

// TestLogLevel leaves out what is below it.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	s := start(t, fmt.Sprintf(beside, "levels"), append(pluginDirs(t, "levels"), "-l", "error")...)
	m := misfit{s, dial(t, "tcp", s.service("tcp").Address)}
	m.logged("from brackets")
	m.othersServe()
	s.stop()
	if log := s.stderr.String(); strings.Contains(log, "from logfmt") || strings.Contains(log, "process ready") {
		t.Errorf("with -l error the log is\n%s", log)
	}
}
