package metric

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/antano/antano/shared/wire"
)

func show(metrics []wire.Metric) string {
	var all []string
	for _, m := range metrics {
		all = append(all, fmt.Sprintf("%s=%d/%t", m.Name, m.Value, m.Gauge))
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, frames []byte) string {
	t.Helper()
	var all []wire.Metric
	for len(frames) > 0 {
		f, n, _, err := wire.Next(frames)
		if err != nil || f.Type != wire.TypeMetric {
			t.Fatalf("%v, %v", f.Type, err)
		}
		var m wire.Metric
		if err := m.Parse(f.Body); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
		frames = frames[n:]
	}
	return show(all)
}

func TestSet(t *testing.T) {
	var s Set
	now := time.Now()
	if frames, more := s.Due(now); frames != nil || more {
		t.Error("an empty set has something to tell")
	}
	if !s.Add("calls", 2) || !s.Add("calls", 3) || !s.Set("depth", -7) {
		t.Fatal("refused")
	}
	if s.Set("calls", 1) || s.Add("depth", 1) || s.Add("Calls", 1) || s.Add("", 1) || s.Add(strings.Repeat("x", 65), 1) {
		t.Error("took what it must refuse")
	}
	if calls, none := s.Value("calls"), s.Value("none"); calls != 5 || none != 0 {
		t.Errorf("calls are %d, none %d", calls, none)
	}
	changed, more := s.Due(now)
	if got := show(changed); got != "calls=5/false depth=-7/true" || more {
		t.Errorf("told %s, more %t", got, more)
	}
	s.Add("calls", 1)
	if frames, more := s.Due(now.Add(every / 2)); frames != nil || !more {
		t.Error("told again too soon")
	}
	changed, more = s.Due(now.Add(every))
	if got := show(changed); got != "calls=6/false" || more {
		t.Errorf("told %s, more %t", got, more)
	}
	if got := read(t, s.Replay(nil)); got != "calls=6/false depth=-7/true" {
		t.Errorf("a successor is told %s", got)
	}
	if got := s.Rest(); got != nil {
		t.Errorf("there is a rest: %s", show(got))
	}
	s.Set("depth", 0)
	if got := show(s.Rest()); got != "depth=0/true" {
		t.Errorf("the rest is %s", got)
	}
}

func TestBound(t *testing.T) {
	var s Set
	for i := range wire.MaxMetrics + 10 {
		if got, want := s.Add(fmt.Sprintf("m%d", i), 1), i < wire.MaxMetrics; got != want {
			t.Fatalf("metric %d: %t", i, got)
		}
	}
}
