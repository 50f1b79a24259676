package report

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Row is one figure over all rounds. Ratio compares it with the row named Against,
// round by round, so that a drift of the machine's speed cancels out.
type Row struct {
	Work    string    `json:"work"`
	Figure  string    `json:"figure"`
	Unit    string    `json:"unit"`
	Values  []float64 `json:"values"`
	Against string    `json:"against,omitempty"`
	Ratios  []float64 `json:"ratios,omitempty"`
}

// row is a Row as JSON, with what follows from its values.
type row struct {
	Row
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// MarshalJSON adds median, min and max.
func (r *Row) MarshalJSON() ([]byte, error) {
	return json.Marshal(row{*r, Median(r.Values), slices.Min(r.Values), slices.Max(r.Values)})
}

// ratio is for people; empty without one.
func (r *Row) ratio() string {
	if len(r.Ratios) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f x %s", Median(r.Ratios), r.Against)
}

// Skipped is a size of a work that was not measured.
type Skipped struct {
	Work string `json:"work"`
	Size string `json:"size"`
	Why  string `json:"why"`
}

// Skip notes that a size was not measured, once.
func (t *Table) Skip(work, size, why string) {
	if s := (Skipped{work, size, why}); !slices.Contains(t.Skipped, s) {
		t.Skipped = append(t.Skipped, s)
	}
}
