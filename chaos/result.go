package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/chaos/internal/load"
)

// result is what one fault cost.
type result struct {
	Fault   string  `json:"fault"`
	Seed    uint64  `json:"seed"`
	Repeats int     `json:"repeats"`
	Seconds float64 `json:"seconds"`
	ledger.Totals
	load.Losses
	Drops         map[string]int `json:"drops"`
	Excess        int            `json:"excess"`    // drops counted beyond the copies that were not delivered
	Stall         time.Duration  `json:"stall_ns"`  // worst of undisturbed clients
	Median        time.Duration  `json:"median_ns"` // of undisturbed clients
	Noise         time.Duration  `json:"noise_ns"`  // worst of this machine without a server
	Replaced      time.Duration  `json:"replaced_ns"`
	ReplacedWorst time.Duration  `json:"replaced_worst_ns"`
	Grown         int            `json:"descriptors_grown"` // of the manager
	Goroutines    int            `json:"goroutines_grown"`
	Leftovers     []string       `json:"leftovers,omitempty"`
	Unmet         []string       `json:"unmet,omitempty"` // bars
}

const (
	// maxStall is the bar for clients that a fault does not concern.
	maxStall = 50 * time.Millisecond
	// maxTakeover is the bar for all when a successor takes over, from its start if there was none.
	maxTakeover = 250 * time.Millisecond
	// spareGoroutines is how many more the manager may have than before, for what passes.
	spareGoroutines = 5
)

// judge notes the bars that are not met.
func (r *result) judge(f fault, strict bool) {
	bar := func(met bool, format string, args ...any) {
		if !met {
			r.Unmet = append(r.Unmet, fmt.Sprintf(format, args...))
		}
	}
	bar(r.Lost == 0, "%d lost silently", r.Lost)
	bar(r.Totals.Broken == 0, "%d broken promises: %d duplicated, %d reordered, %d unanswered, %d contradicted",
		r.Totals.Broken, r.Duplicated, r.Reordered, r.Unanswered, r.Contradicted)
	bar(r.Refused == 0, "%d connects refused", r.Refused)
	bar(r.Foreign == 0, "%d connections broken of processes that did not crash", r.Foreign)
	bar(r.Renamed == 0, "%d clients got another id", r.Renamed)
	bar(f.crash || r.WithConnection == 0, "%d lost with a connection", r.WithConnection)
	bar(f.crash || r.WithProcess == 0, "%d lost with a process", r.WithProcess)
	bar(f.manager || r.WithManager == 0, "%d lost with the manager", r.WithManager)
	bar(!f.planned || r.Losses.Broken == 0, "%d connections broken by a planned operation", r.Losses.Broken)
	bar(r.Grown <= 0, "the manager has %d descriptors more than before", r.Grown)
	bar(r.Goroutines <= spareGoroutines, "the manager has %d goroutines more than before", r.Goroutines)
	bar(len(r.Leftovers) == 0, "leftovers: %q", r.Leftovers)
	bar(len(r.Unexpected) == 0, "unexpected: %q", r.Unexpected)
	bar(r.Sent > 0 && r.Repeats > 0, "nothing was sent or done")
	limit := maxStall
	if f.takeover {
		limit = maxTakeover
	}
	bar(!strict || r.Stall < limit+hops*r.Noise, "undisturbed clients waited %s", r.Stall)
}

// printTable prints a line for each fault and what is wrong with it.
func printTable(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\ttimes\tsent\tdelivered\treported\tcounted\twith conn\twith proc\twith mgr\tLOST\tdup\treorder\tno answer\trefused\tbroken\tforeign\tstall\tnoise\tmedian\tanswer\treplaced\tleft\t")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t\n", r.Fault, r.Repeats, r.Sent, r.Delivered, r.Reported,
			r.Counted, r.WithConnection, r.WithProcess, r.WithManager, r.Lost, r.Duplicated, r.Reordered, r.Unanswered, r.Refused, r.Losses.Broken, r.Foreign,
			short(r.Stall), short(r.Noise), short(r.Median), short(r.SlowestReply), short(r.Replaced), len(r.Leftovers))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, u := range r.Unmet {
			fmt.Fprintf(out, "%s: NOT MET: %s\n", r.Fault, u)
		}
		if len(r.Unmet) > 0 {
			for _, n := range r.Notes {
				fmt.Fprintf(out, "%s:   %s\n", r.Fault, n)
			}
			fmt.Fprintf(out, "%s:   drops %v, %d of them of copies that were delivered, or of others\n", r.Fault, r.Drops, r.Excess)
		}
	}
	return nil
}

func short(d time.Duration) string {
	if d < time.Millisecond {
		return d.Round(time.Microsecond).String()
	}
	return d.Round(time.Millisecond / 10).String()
}
