package manager

import (
	"maps"

	"github.com/antano/antano/manager/internal/relay"
)

// metrics are the numbers of a plugin author's own, by name.
type metrics map[string]relay.Metric

// add adds those of one more generation of a process.
func (m *metrics) add(more map[string]relay.Metric) {
	for name, v := range more {
		if *m == nil {
			*m = metrics{}
		}
		if !v.Gauge {
			v.Value += (*m)[name].Value
		}
		(*m)[name] = v
	}
}

// counters are what is left of metrics when their process has ended.
func (m metrics) counters() map[string]relay.Metric {
	left := maps.Clone(m)
	maps.DeleteFunc(left, func(_ string, v relay.Metric) bool { return v.Gauge })
	return left
}

// formerCounters are those of generations that ended under an earlier manager.
func formerCounters(values map[string]int64) (m metrics) {
	for name, v := range values {
		m.add(metrics{name: {Value: v}})
	}
	return m
}

// values are the metrics as status shows them.
func (m metrics) values() map[string]int64 {
	all := make(map[string]int64, len(m))
	for name, v := range m {
		all[name] = v.Value
	}
	return all
}
