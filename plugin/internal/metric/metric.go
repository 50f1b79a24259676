// Package metric holds the numbers of an author's own until the manager is told of them.
// Its Set is safe for concurrent use, and nothing blocks.
package metric

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/antano/antano/shared/wire"
)

// every is how often the manager is told of changes.
const every = time.Second

// Set is the metrics of one process, at most wire.MaxMetrics. The zero Set is ready.
type Set struct {
	mu    sync.Mutex
	all   map[string]*value
	fresh int // that the manager has not been told of
	told  time.Time
}

type value struct {
	wire.Metric
	fresh bool
}

// Add counts n more. ok is false when the name cannot be one, is that of a gauge, or there
// are too many.
func (s *Set) Add(name string, n int64) (ok bool) {
	return s.change(name, false, func(v *int64) { *v += n })
}

// Set makes a gauge v. ok is as of Add.
func (s *Set) Set(name string, v int64) (ok bool) {
	return s.change(name, true, func(old *int64) { *old = v })
}

func (s *Set) change(name string, gauge bool, f func(*int64)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.all[name]
	if v == nil {
		if len(s.all) >= wire.MaxMetrics || !wire.ValidMetricName(name) {
			return false
		}
		if s.all == nil {
			s.all = make(map[string]*value)
		}
		v = &value{Metric: wire.Metric{Gauge: gauge, Name: []byte(name)}}
		s.all[name] = v
	}
	if v.Gauge != gauge {
		return false
	}
	f(&v.Value)
	if !v.fresh {
		v.fresh = true
		s.fresh++
	}
	return true
}

// Value returns what a metric is; 0 for one that there is not.
func (s *Set) Value(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.all[name]; v != nil {
		return v.Value
	}
	return 0
}

// Due returns what has changed, if it is time to tell the manager, and whether anything
// is still to be told.
func (s *Set) Due(now time.Time) (changed []wire.Metric, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh == 0 {
		return nil, false
	}
	if now.Sub(s.told) < every {
		return nil, true
	}
	s.told = now
	return s.take(false), false
}

// Rest returns what has changed, whether it is time or not.
func (s *Set) Rest() []wire.Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(false)
}

// Replay appends frames of everything, for a successor of the manager.
func (s *Set) Replay(dst []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.take(true) {
		dst = wire.AppendMetric(dst, &m)
	}
	return dst
}

func (s *Set) take(all bool) (taken []wire.Metric) {
	if s.fresh == 0 && !all {
		return nil
	}
	s.fresh = 0
	for _, v := range s.all {
		if v.fresh || all {
			taken = append(taken, v.Metric)
		}
		v.fresh = false
	}
	slices.SortFunc(taken, func(a, b wire.Metric) int { return bytes.Compare(a.Name, b.Name) })
	return taken
}
