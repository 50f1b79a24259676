package relay

import (
	"fmt"
	"maps"
	"sync"

	"github.com/antano/antano/shared/wire"
)

// Metric is a number of the plugin author's own.
type Metric struct {
	Gauge bool // what it is now; else counted since the start of the process
	Value int64
}

// metrics are what a process has said last.
type metrics struct {
	mu  sync.Mutex
	all map[string]Metric
}

func (l *Link) metric(body []byte) error {
	var m wire.Metric
	if err := m.Parse(body); err != nil {
		return err
	}
	l.metrics.mu.Lock()
	defer l.metrics.mu.Unlock()
	if _, known := l.metrics.all[string(m.Name)]; !known {
		if len(l.metrics.all) >= wire.MaxMetrics {
			return fmt.Errorf("%w: more than %d metrics", wire.ErrFrame, wire.MaxMetrics)
		}
		if l.metrics.all == nil {
			l.metrics.all = make(map[string]Metric)
		}
	}
	l.metrics.all[string(m.Name)] = Metric{m.Gauge, m.Value}
	return nil
}

// Metrics returns a copy of what the process has said last of its metrics; nil without.
func (l *Link) Metrics() map[string]Metric {
	l.metrics.mu.Lock()
	defer l.metrics.mu.Unlock()
	return maps.Clone(l.metrics.all)
}
