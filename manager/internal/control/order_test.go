package control

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestOrders reads what is asked for out of the requests.
func TestOrders(t *testing.T) {
	c, _ := serving(t)
	for target, want := range map[string]Order{
		"/v1/services/chat%20room/restart":     {Verb: Restart, Service: "chat room"},
		"/v1/services/7/stop?process=3":        {Verb: Stop, Service: "7", Process: "3"},
		"/v1/services/7/start":                 {Verb: Start, Service: "7"},
		"/v1/services/chat/scale?processes=8":  {Verb: Scale, Service: "chat", Processes: 8},
		"/v1/services/chat/scale?processes=-1": {Verb: Scale, Service: "chat", Processes: -1},
		"/v1/reload?dry_run=true":              {Verb: Reload, DryRun: true},
	} {
		n := 0
		err := c.Stream(t.Context(), http.MethodPost, target, func(r json.RawMessage) error {
			var o Order
			if n++; json.Unmarshal(r, &o) != nil || o != want {
				t.Errorf("%s is %s, want %+v", target, r, want)
			}
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%s: %d records, %v", target, n, err)
		}
	}
	for target, says := range map[string]string{
		"/v1/services/busy/restart":           "under way",
		"/v1/services/chat/scale":             "use the number",
		"/v1/services/chat/scale?processes=x": "use the number",
		"/v1/reload?dry_run=x":                "use 0 or 1",
	} {
		err := c.Stream(t.Context(), http.MethodPost, target, func(json.RawMessage) error { return nil })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", target, err, says)
		}
	}
	if err := c.Stream(t.Context(), http.MethodGet, "/v1/services/chat/restart", nil); err == nil {
		t.Error("a GET restarts")
	}
}
