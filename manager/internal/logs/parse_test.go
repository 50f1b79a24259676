package logs

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/go-hclog"
)

var (
	readAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	saidAt = time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)
)

func TestParse(t *testing.T) {
	tests := []struct {
		line    string
		level   hclog.Level
		message string
		fields  string // key=value joined with spaces
		said    bool   // the time is the plugin's
	}{
		{`{"@level":"warn","@message":"low","@module":"tcp","@timestamp":"2026-01-02T03:04:05.678900Z","n":3}`, hclog.Warn, "low", "module=tcp n=3", true},
		{`{"time":"2026-01-02T03:04:05.6789Z","level":"DEBUG-4","msg":"m","a":{"b":[1,2]},"c":"x y"}`, hclog.Debug, "m", `a={"b":[1,2]} c=x y`, true},
		{`{"level":"error","msg":"m","pid":1,"service":"other","process":"p","generation":9}`, hclog.Error, "m",
			"plugin_generation=9 plugin_pid=1 plugin_process=p plugin_service=other", false},
		{`{"@message": 1}`, hclog.Info, `{"@message": 1}`, "", false},
		{`{"@level":[],"@message":{},"msg":"still"}`, hclog.Info, "still", `level=[] message={}`, false},
		{`{"@level":7,"@message":null,"@timestamp":{}}`, hclog.Info, `{"@level":7,"@message":null,"@timestamp":{}}`, "", false},
		{`{"level":"loud","msg":"m"}`, hclog.Info, "m", "level=loud", false},
		{`{"level":"info"}`, hclog.Info, "", "", false},
		{`{"msg":"a\nb\u001b[31mred\u0000"}`, hclog.Info, `a\nbred`, "", false},
		{`{"broken`, hclog.Info, `{"broken`, "", false},
		{`null`, hclog.Info, `null`, "", false},
		{`time=2026-01-02T03:04:05.6789Z level=ERROR msg="it broke" err="no \"way\"" n=1`, hclog.Error, "it broke", `err=no "way" n=1`, true},
		{`lvl=dbug level=warn msg=x`, hclog.Warn, "x", "lvl=dbug", false},
		{`a=b c=d`, hclog.Info, "a=b c=d", "", false},
		{`level=warn and words`, hclog.Info, "level=warn and words", "", false},
		{`[WARN] text`, hclog.Warn, "text", "", false},
		{`[ error ]: text`, hclog.Error, "text", "", false},
		{`2026-01-02T03:04:05.6789Z [DEBUG] name: text: k=v`, hclog.Debug, "name: text: k=v", "", true},
		{`2026/01/02 03:04:05 ERROR text`, hclog.Error, "text", "", false},
		{`INFO: text`, hclog.Info, "text", "", false},
		{`WARNING text`, hclog.Warn, "text", "", false},
		{`WARN[0001] text`, hclog.Warn, "text", "", false},
		{`error: text`, hclog.Error, "text", "", false},
		{`Error opening file`, hclog.Info, "Error opening file", "", false},
		{`INFORMATION`, hclog.Info, "INFORMATION", "", false},
		{`E0102 03:04:05.678 file.go:1] text`, hclog.Error, "E0102 03:04:05.678 file.go:1] text", "", false},
		{"\x1b[1;31mplain\x1b[0m \xff text\a", hclog.Info, "plain \uFFFD text", "", false},
		{"\x1b", hclog.Info, "", "", false},
		{"\x1b[12", hclog.Info, "", "", false},
	}
	for _, tt := range tests {
		r, _ := parse(tt.line, readAt, hclog.Info)
		var fields []string
		for i := 0; i < len(r.Fields); i += 2 {
			fields = append(fields, r.Fields[i].(string)+"="+r.Fields[i+1].(string))
		}
		if r.Level != tt.level || r.Message != tt.message || strings.Join(fields, " ") != tt.fields {
			t.Errorf("%s\nis %v %q %q\nnot %v %q %q", tt.line, r.Level, r.Message, fields, tt.level, tt.message, tt.fields)
		}
		if want := map[bool]time.Time{true: saidAt, false: readAt}[tt.said]; !r.Time.Equal(want) {
			t.Errorf("%s has time %v, want %v", tt.line, r.Time, want)
		}
	}
}

func TestParseBoundsFields(t *testing.T) {
	line := `{"msg":"m"`
	for i := range 500 {
		line += `,"k` + strings.Repeat("x", i) + `":1`
	}
	r, _ := parse(line+"}", readAt, hclog.Info)
	if len(r.Fields) != 2*maxFields {
		t.Errorf("%d fields", len(r.Fields)/2)
	}
	for i := 0; i < len(r.Fields); i += 2 {
		if key := r.Fields[i].(string); len(key) > maxKey {
			t.Errorf("a key of %d bytes", len(key))
		}
	}
}

// harmless fails the test when text could act on a terminal or forge a line.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s %q is not UTF-8", what, text)
	}
	for _, r := range text {
		if r != '\t' && !unicode.IsPrint(r) {
			t.Errorf("%s %q has %q", what, text, r)
		}
	}
}

// FuzzLine: no line panics, and every record is harmless and has a level.
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		`{"@message": 1}`, `{"@level":"info","@message":"m","@timestamp":"2026-01-02T03:04:05.678900Z","a":{"b":null}}`,
		`time=x level=info msg="a b" k=`, `level="`, "[WARN] x", "2026-01-02 03:04:05 ERROR x", "panic: x", "goroutine 1 [running]:",
		"\x1b[", "\xff\xfe", `{"service":"\u202e","msg":"\ud800"}`, "E0102 03:04:05", "=", "a==b level=info",
		`{"a":` + strings.Repeat("[", 200),
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, _ := parse(line, readAt, hclog.Info)
		if r.Level < hclog.Trace || r.Level > hclog.Error {
			t.Errorf("level %v", r.Level)
		}
		harmless(t, "message", r.Message)
		if len(r.Fields)%2 != 0 {
			t.Fatalf("%d keys and values", len(r.Fields))
		}
		for i := 0; i < len(r.Fields); i += 2 {
			key := r.Fields[i].(string)
			harmless(t, "key", key)
			harmless(t, "value", r.Fields[i+1].(string))
			if _, ok := reserved[key]; ok || strings.ContainsAny(key, " \t=\"") {
				t.Errorf("key %q", key)
			}
		}
		var d dump
		d.take(line, false)
		d.take(line, false)
	})
}
