package bars

import (
	"testing"

	"github.com/antano/antano/internal/measure/report"
)

func TestJudge(t *testing.T) {
	table := &report.Table{}
	for _, v := range []struct {
		work, figure string
		values       []float64
	}{
		{oneWay, ours, []float64{90, 180, 10}},
		{oneWay, "bare", []float64{100, 200, 20}}, // ratios 0.9, 0.9, 0.5
		{oneWay, "NATS", []float64{40, 80, 4}},    // 2.25, 2.25, 2.5
		{trip, ours, []float64{30}},
		{trip, "NATS", []float64{60}},
		{trip, "Redis, Unix", []float64{0}}, // not measurable
		{tail, ours, []float64{91}},
	} {
		for _, x := range v.values {
			table.Add(v.work, v.figure, "", x)
		}
	}
	got := map[string]string{}
	for _, v := range Judge(table) {
		got[v.What] = v.Got() + " " + v.Result()
	}
	for what, want := range map[string]string{
		"relay one way to the bare relay":                "0.9 × met",
		"relay one way to NATS":                          "2.25 × missed",
		"relay one way to Redis on TCP":                  "– not measured",
		"relay round trip p50 to NATS":                   "0.5 × met",
		"relay round trip p50 to Redis on a Unix socket": "– not measured",
		"relay round trip p99 to its p50":                "3.03 × missed",
	} {
		if got[what] != want {
			t.Errorf("%s: %q, not %q", what, got[what], want)
		}
	}
}

func TestEveryBarHasItsOwnName(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range wanted {
		if seen[b.what] {
			t.Errorf("two bars are %q", b.what)
		}
		seen[b.what] = true
	}
}
