package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxMetrics is how many metrics a process may have; MaxMetricName is the longest name in
// bytes.
const (
	MaxMetrics    = 256
	MaxMetricName = 64
)

// Metric is one number of the author's own: a gauge is what it is, a counter counts from
// the start of the process.
type Metric struct {
	Gauge bool
	Value int64
	Name  []byte
}

// AppendMetric appends m as a frame.
func AppendMetric(dst []byte, m *Metric) []byte {
	dst, at := begin(dst, TypeMetric)
	kind := byte(0)
	if m.Gauge {
		kind = 1
	}
	dst = append(dst, kind)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.Value))
	dst = append(dst, m.Name...)
	return end(dst, at)
}

// Parse reads the body of a metric; Name aliases it.
func (m *Metric) Parse(body []byte) error {
	c := cursor{b: body}
	kind := c.u8()
	m.Gauge, m.Value = kind == 1, int64(c.u64())
	m.Name, c.b = c.b, nil
	if !c.bad && (kind > 1 || !ValidMetricName(m.Name)) {
		return fmt.Errorf("%w: a metric of kind %d with the name %.80q", ErrFrame, kind, m.Name)
	}
	return c.done("metric")
}

// ValidMetricName reports whether name is 1 to 64 of a-z, 0-9 and '_', a letter first.
func ValidMetricName[T string | []byte](name T) bool {
	if len(name) == 0 || len(name) > MaxMetricName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	for i := range len(name) {
		if b := name[i]; b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			return false
		}
	}
	return true
}
