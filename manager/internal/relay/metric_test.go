package relay

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// TestMetrics keeps what a process said last, up to so many names.
func TestMetrics(t *testing.T) {
	_, a, _, _ := town(t, Config{})
	for _, m := range []wire.Metric{{Value: 1, Name: []byte("calls")}, {Gauge: true, Value: -2, Name: []byte("depth")}, {Value: 9, Name: []byte("calls")}} {
		a.write(wire.AppendMetric(nil, &m))
	}
	a.send(a.to(wire.KindService, 99, 1)) // its answer comes behind them
	a.wantResult(1, shared.CodeNoSuchEntity)
	if got, want := a.link.Metrics(), map[string]Metric{"calls": {Value: 9}, "depth": {true, -2}}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range wire.MaxMetrics {
		a.conn.Write(wire.AppendMetric(nil, &wire.Metric{Name: fmt.Appendf(nil, "m%d", i)}))
	}
	<-a.link.Down()
	if err := a.link.Err(); !errors.Is(err, wire.ErrFrame) {
		t.Errorf("the link ended with %v", err)
	}
}
