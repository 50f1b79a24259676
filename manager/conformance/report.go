package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/manager"
	"github.com/antano/antano/manager/conformance/internal/point"
	"github.com/antano/antano/shared"
)

// The values of Verdict.Verdict.
const (
	Pass = string(point.Pass)
	Fail = string(point.Fail)
	Skip = string(point.Skip)
)

// Verdict is what became of one point.
type Verdict struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`   // what the plugin has to do
	Verdict string  `json:"verdict"` // pass, fail or skip
	Seen    string  `json:"seen"`    // what was seen, and what to change; why it was skipped
	Section string  `json:"section"` // where docs/protocol.md says it
	Seconds float64 `json:"seconds"`
}

// Report is the outcome of all points, in the order of docs/conformance.md.
type Report struct {
	Path        string              `json:"path"`
	Type        string              `json:"type"`
	SHA256      string              `json:"sha256"`
	Description *shared.Description `json:"description,omitempty"` // absent when Describe failed
	Points      []Verdict           `json:"points"`
	Passed      int                 `json:"passed"`
	Failed      int                 `json:"failed"`
	Skipped     int                 `json:"skipped"`
}

func verdict(p point.Point, o point.Outcome, seen string, took time.Duration) Verdict {
	return Verdict{ID: p.ID, Title: p.Title, Verdict: string(o), Seen: seen, Section: "docs/protocol.md#" + p.Section, Seconds: took.Seconds()}
}

// order is that of the points.
var order = ids()

func ids() (all []string) {
	for _, p := range slices.Concat(point.Gates, []point.Point{point.Probe}, point.Points) {
		all = append(all, p.ID)
	}
	return all
}

func (r *Report) add(v Verdict) {
	at, _ := slices.BinarySearchFunc(r.Points, v, func(a, b Verdict) int { return slices.Index(order, a.ID) - slices.Index(order, b.ID) })
	r.Points = slices.Insert(r.Points, at, v)
	switch v.Verdict {
	case Pass:
		r.Passed++
	case Fail:
		r.Failed++
	default:
		r.Skipped++
	}
}

// Err is nil when no point failed. It wraps manager.ErrConfig when what the plugin
// describes, or the settings, are wrong.
func (r *Report) Err() error {
	var failed []string
	wrong := false
	for _, v := range r.Points {
		if v.Verdict == Fail {
			failed = append(failed, v.ID)
			wrong = wrong || v.ID == "describe" || v.ID == "settings"
		}
	}
	if len(failed) == 0 {
		return nil
	}
	err := fmt.Errorf("plugin %s fails %d of %d points: %s", r.Path, r.Failed, len(r.Points), strings.Join(failed, ", "))
	if wrong {
		return configError{err}
	}
	return err
}

// configError marks err as one that only a change of the plugin or its settings mends.
type configError struct{ error }

func (e configError) Unwrap() error        { return e.error }
func (e configError) Is(target error) bool { return target == manager.ErrConfig }

// usageError marks err as one about the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error        { return e.error }
func (e usageError) Is(target error) bool { return target == manager.ErrUsage }
