package manager

import (
	"maps"
	"testing"
	"time"
)

// TestDropsAreTold tells at once, then every ten seconds, and loses none.
func TestDropsAreTold(t *testing.T) {
	var d dropWatch
	start := time.Now()
	for _, step := range []struct {
		after int
		drops map[string]uint64
		want  map[string]uint64
	}{
		{0, map[string]uint64{}, nil},
		{1, map[string]uint64{"overloaded": 5}, map[string]uint64{"overloaded": 5}},
		{2, map[string]uint64{"overloaded": 9}, nil},
		{10, map[string]uint64{"overloaded": 9, "too_large": 1}, nil},
		{11, map[string]uint64{"overloaded": 9, "too_large": 1}, map[string]uint64{"overloaded": 4, "too_large": 1}},
		{60, map[string]uint64{"overloaded": 9, "too_large": 1}, nil},
		{61, map[string]uint64{"overloaded": 9, "too_large": 2}, map[string]uint64{"too_large": 1}},
	} {
		if got := d.due(start.Add(time.Duration(step.after)*time.Second), step.drops); !maps.Equal(got, step.want) {
			t.Errorf("after %d s: %v, want %v", step.after, got, step.want)
		}
	}
}
