// Package result is what one run of the benchmarks found out, as it is kept.
package result

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/antano/antano/bench/internal/bars"
	"github.com/antano/antano/internal/measure/report"
)

// Run is one run.
type Run struct {
	Date    string            `json:"date"`
	CPUs    int               `json:"cpus"`
	Kernel  string            `json:"kernel"`
	Go      string            `json:"go"`
	Load    string            `json:"load"` // what else ran: the load average at the beginning
	Rounds  int               `json:"rounds"`
	Quick   bool              `json:"quick,omitempty"`
	Peers   map[string]string `json:"peers"` // versions, or why a peer is missing
	Skipped []string          `json:"skipped,omitempty"`
	Table   report.Table      `json:"table"`
	Bars    []bars.Verdict    `json:"bars"` // as of Judge
}

// New is a run of today on this machine.
func New(rounds int) Run {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _, _ := strings.Cut(string(kernel), "-")
	load, _ := os.ReadFile("/proc/loadavg")
	return Run{Date: time.Now().Format(time.DateOnly), CPUs: runtime.NumCPU(), Kernel: strings.TrimSpace(version), Go: runtime.Version(),
		Load: strings.Join(strings.Fields(string(load) + " ? ? ?")[:3], " "), Rounds: rounds, Peers: map[string]string{}}
}

// Load reads a run that Save wrote.
func Load(file string) (*Run, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Run{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r.Judge()
	return r, nil
}

// Judge compares the figures with what is wanted.
func (r *Run) Judge() { r.Bars = bars.Judge(&r.Table) }

// Save writes the run to a file.
func (r *Run) Save(file string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Merge puts the works of a later run in the place of those with the same names.
func (r *Run) Merge(later *Run) {
	fresh := map[string]bool{}
	for _, row := range later.Table.Rows {
		fresh[row.Work] = true
	}
	r.Table.Rows = slices.DeleteFunc(r.Table.Rows, func(row *report.Row) bool { return fresh[row.Work] })
	r.Table.Rows = append(r.Table.Rows, later.Table.Rows...)
	r.Skipped = append(r.Skipped, later.Skipped...)
	maps.Copy(r.Peers, later.Peers)
	r.Judge()
}

// Text prints the table and the bars.
func (r *Run) Text(w io.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(r.Peers)) {
		fmt.Fprintf(w, "%s: %s\n", name, r.Peers[name])
	}
	for _, s := range r.Skipped {
		fmt.Fprintln(w, "not measured:", s)
	}
	if err := r.Table.Write(w); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\nBAR\tWANTED\tREACHED\t")
	for _, v := range r.Bars {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", v.What, v.Wanted(), v.Got(), v.Result())
	}
	return tw.Flush()
}
