package hub

import (
	"fmt"
	"runtime/debug"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/wire"
)

// Panics is the metric that counts the panics of the author's code.
const Panics = "panics"

// Count adds n to a counter of the author's.
func (h *Hub) Count(name string, n int64) { h.counted(name, h.metrics.Add(name, n)) }

// Gauge sets a gauge of the author's.
func (h *Hub) Gauge(name string, v int64) { h.counted(name, h.metrics.Set(name, v)) }

// Metric returns what Count or Gauge have made of a metric; 0 without.
func (h *Hub) Metric(name string) int64 { return h.metrics.Value(name) }

func (h *Hub) counted(name string, ok bool) {
	if !ok {
		h.misnamed.Do(func() {
			h.log.Warn("a metric was not taken: its name is not a-z, 0-9 and '_' with a letter first, or of both kinds, or there are over 256", "name", name)
		})
		return
	}
	h.clock.arm()
}

func (h *Hub) tellMetrics(changed []wire.Metric) {
	for _, m := range changed {
		_ = h.relay.Control(func(dst []byte) []byte { return wire.AppendMetric(dst, &m) }) // a link that is down wants none
	}
}

// Go runs f in a goroutine that Close waits for.
func (h *Hub) Go(f func()) bool {
	return h.spawn(func() {
		defer h.Recovered("a goroutine of the service", nil)
		f()
	})
}

// Recovered is deferred around calls of the author's code: a panic there is logged with its
// stack, counted, and becomes err, unless that is nil.
func (h *Hub) Recovered(where string, err *error, about ...any) {
	if v := recover(); v != nil {
		h.panicked(where, v, err, about...)
	}
}

// recovered is Recovered for what the Writer of a client does.
func (c *Client) recovered(where string, err *error) {
	if v := recover(); v != nil {
		c.hub.panicked(where, v, err, "client", uint64(c.id), "address", c.address)
	}
}

func (h *Hub) panicked(where string, v any, err *error, about ...any) {
	h.log.Error(where+" panicked", append(about, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))...)
	h.Count(Panics, 1)
	if err != nil {
		*err = shared.Errorf(shared.CodeUnsupported, "%s panicked: %v", where, v)
	}
}
