// Package bars is what is wanted of the figures, mostly as ratios to peers within one
// run, and whether a run reached it.
package bars

import (
	"fmt"

	"github.com/antano/antano/internal/measure/report"
)

// Verdict is one bar and what became of it.
type Verdict struct {
	What     string  `json:"what"`
	Want     float64 `json:"want"`
	AtMost   bool    `json:"at_most,omitempty"`
	Unit     string  `json:"unit"`
	Reached  float64 `json:"reached"`
	Measured bool    `json:"measured"`
}

// Met reports whether the bar was reached.
func (v Verdict) Met() bool {
	return v.Measured && (v.AtMost && v.Reached <= v.Want || !v.AtMost && v.Reached >= v.Want)
}

// Wanted is what was asked for, in words.
func (v Verdict) Wanted() string {
	if v.AtMost {
		return fmt.Sprintf("≤ %.3g %s", v.Want, v.Unit)
	}
	return fmt.Sprintf("≥ %.3g %s", v.Want, v.Unit)
}

// Got is what was reached, in words.
func (v Verdict) Got() string {
	if !v.Measured {
		return "–"
	}
	return fmt.Sprintf("%.3g %s", v.Reached, v.Unit)
}

// Result is met, missed or not measured.
func (v Verdict) Result() string {
	switch {
	case !v.Measured:
		return "not measured"
	case v.Met():
		return "met"
	}
	return "missed"
}

// bar is one that is wanted; read finds what was reached.
type bar struct {
	what   string
	atMost bool
	want   float64
	unit   string
	read   func(*report.Table) (float64, bool)
}

// Judge compares a table with all bars.
func Judge(t *report.Table) []Verdict {
	var all []Verdict
	for _, b := range wanted {
		v := Verdict{What: b.what, Want: b.want, AtMost: b.atMost, Unit: b.unit}
		v.Reached, v.Measured = b.read(t)
		all = append(all, v)
	}
	return all
}

// cell names a figure.
type cell struct{ work, figure string }

// value is the median of a figure, in other units.
func value(work, figure string, scale float64) func(*report.Table) (float64, bool) {
	return func(t *report.Table) (float64, bool) {
		r := t.Find(work, figure)
		if r == nil {
			return 0, false
		}
		return report.Median(r.Values) * scale, true
	}
}

// ratio is the median of the ratios round by round.
func ratio(a, b cell) func(*report.Table) (float64, bool) {
	return func(t *report.Table) (float64, bool) {
		x, y := t.Find(a.work, a.figure), t.Find(b.work, b.figure)
		if x == nil || y == nil {
			return 0, false
		}
		all := report.Ratios(x, y)
		if len(all) == 0 {
			return 0, false
		}
		return report.Median(all), true
	}
}

// over divides what two others read.
func over(a, b func(*report.Table) (float64, bool)) func(*report.Table) (float64, bool) {
	return func(t *report.Table) (float64, bool) {
		x, ok := a(t)
		y, also := b(t)
		if !ok || !also || y == 0 {
			return 0, false
		}
		return x / y, true
	}
}
