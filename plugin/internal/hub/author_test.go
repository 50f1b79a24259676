package hub

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/antano/antano/shared/wire"
)

// TestMetricsAreTold has the manager told of changes, once a second, and a successor of
// everything.
func TestMetricsAreTold(t *testing.T) {
	bubble(t, nil, func(x *fixture) {
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			x.relay.mu.Lock()
			defer x.relay.mu.Unlock()
			if !slices.Equal(x.relay.metrics, want) {
				t.Errorf("told %q, want %q", x.relay.metrics, want)
			}
			x.relay.metrics = nil
		}
		x.Count("calls", 1)
		x.Gauge("depth", 3)
		told("calls=1", "depth=3")
		x.Count("calls", 1)
		x.Count("not a name", 1)
		told()
		time.Sleep(1100 * time.Millisecond)
		told("calls=2")
		var names []string
		for b := x.Replay(nil); len(b) > 0; {
			f, n, _, err := wire.Next(b)
			var m wire.Metric
			if err != nil || f.Type != wire.TypeMetric || m.Parse(f.Body) != nil {
				t.Fatal(f.Type, err)
			}
			names, b = append(names, string(m.Name)), b[n:]
		}
		if got := strings.Join(names, " "); got != "calls depth" {
			t.Errorf("a successor is told of %s", got)
		}
	})
}
