package manager

import (
	"maps"
	"testing"

	"github.com/antano/antano/manager/internal/relay"
)

// TestMetrics adds the counters of generations, and keeps gauges of the last one alone.
func TestMetrics(t *testing.T) {
	var ended, all metrics
	ended.add(metrics{"calls": {Value: 5}, "depth": {Gauge: true, Value: 3}}.counters())
	all.add(ended)
	all.add(map[string]relay.Metric{"calls": {Value: 2}, "open": {Gauge: true, Value: -1}})
	if got, want := all.values(), map[string]int64{"calls": 7, "open": -1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ended.values(); got["calls"] != 5 {
		t.Errorf("what had ended became %v", got)
	}
}
