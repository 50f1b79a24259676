package manager

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/antano/antano/manager/internal/runtimedir"
)

// What another version of antano knew of plugins, and said in another way, is not used.
func TestKnownPlugin(t *testing.T) {
	good := runtimedir.StatePlugin{
		Path: "/p", SHA256: strings.Repeat("ab", 32), Stamp: json.RawMessage(`{"dev":1,"inode":2,"size":3,"mtime_ns":4,"ctime_ns":5}`),
		Description: json.RawMessage(`{"name":"p","version":"1","service_type":"tcp","can_send":true,"handler":false,"handover":true,"transport":"tcp","formats_in":["json"],"formats_out":["json"]}`),
	}
	k, ok := knownPlugin(good)
	if !ok || k.Path != "/p" || k.Sum[0] != 0xab || k.Stamp.Changed != 5 || !k.Description.Handover {
		t.Fatalf("%+v, %v", k, ok)
	}
	for name, spoil := range map[string]func(*runtimedir.StatePlugin){
		"sum":   func(p *runtimedir.StatePlugin) { p.SHA256 = "ab" },
		"hex":   func(p *runtimedir.StatePlugin) { p.SHA256 = strings.Repeat("zz", 32) },
		"stamp": func(p *runtimedir.StatePlugin) { p.Stamp = json.RawMessage(`{"dev":1}`) },
		"more": func(p *runtimedir.StatePlugin) {
			p.Description = json.RawMessage(strings.Replace(string(p.Description), "{", `{"since":2,`, 1))
		},
		"less": func(p *runtimedir.StatePlugin) {
			p.Description = json.RawMessage(strings.Replace(string(p.Description), `"handover":true,`, "", 1))
		},
		"none": func(p *runtimedir.StatePlugin) { p.Description = nil },
	} {
		p := good
		if spoil(&p); func() bool { _, ok := knownPlugin(p); return ok }() {
			t.Errorf("%s: %+v is taken", name, p)
		}
	}
}
