// Package report prints medians, spreads and ratios.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table is all rows.
type Table struct {
	Rows    []*Row    `json:"rows"`
	Skipped []Skipped `json:"skipped"`
}

// Add records one value.
func (t *Table) Add(work, figure, unit string, value float64) {
	for _, r := range t.Rows {
		if r.Work == work && r.Figure == figure {
			r.Values = append(r.Values, value)
			return
		}
	}
	t.Rows = append(t.Rows, &Row{Work: work, Figure: figure, Unit: unit, Values: []float64{value}})
}

// Compare fills in the ratios of a row against another of the same work. Rows with
// as many values are paired round by round, others by their medians.
func (t *Table) Compare(work, figure, against string) {
	a, b := t.Find(work, figure), t.Find(work, against)
	if a == nil || b == nil {
		return
	}
	a.Against, a.Ratios = against, Ratios(a, b)
}

// Ratios divides the values of two rows round by round, or their medians where one has
// more. A round in which b is 0, or not measurable, has none.
func Ratios(a, b *Row) (all []float64) {
	x, y := a.Values, b.Values
	if len(x) != len(y) {
		x, y = []float64{Median(x)}, []float64{Median(y)}
	}
	for i := range x {
		if y[i] != 0 {
			all = append(all, x[i]/y[i])
		}
	}
	return all
}

// CompareAll fills in the ratios of all other rows of a work against one.
func (t *Table) CompareAll(work, against string) {
	for _, r := range t.Rows {
		if r.Work == work && r.Figure != against {
			t.Compare(work, r.Figure, against)
		}
	}
}

// Works are the names of works that begin so, in the order in which they were added.
func (t *Table) Works(prefix string) (names []string) {
	for _, r := range t.Rows {
		if strings.HasPrefix(r.Work, prefix) && !slices.Contains(names, r.Work) {
			names = append(names, r.Work)
		}
	}
	return names
}

// Find is the row of a figure, nil if there is none.
func (t *Table) Find(work, figure string) *Row {
	for _, r := range t.Rows {
		if r.Work == work && r.Figure == figure {
			return r
		}
	}
	return nil
}

// Write prints the table for people.
func (t *Table) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head, compared := "WORK\tFIGURE\tMEDIAN\tMIN\tMAX\tN\tUNIT", t.compared()
	if compared {
		head += "\tRATIO"
	}
	fmt.Fprintln(tw, head)
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%d\t%s", r.Work, r.Figure, number(Median(r.Values)),
			number(slices.Min(r.Values)), number(slices.Max(r.Values)), len(r.Values), r.Unit)
		if compared {
			fmt.Fprint(tw, "\t", r.ratio())
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, s := range t.Skipped {
		if _, err := fmt.Fprintf(w, "%s %s was not measured: %s\n", s.Work, s.Size, s.Why); err != nil {
			return err
		}
	}
	return nil
}

// compared reports whether any row is compared with another.
func (t *Table) compared() bool {
	return slices.ContainsFunc(t.Rows, func(r *Row) bool { return len(r.Ratios) > 0 })
}

// JSON writes the table for programs.
func (t *Table) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(t)
}

// Median is the middle value.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}

func number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
