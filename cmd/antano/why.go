package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newWhy() *cobra.Command {
	var t target
	var asJSON bool
	c := &cobra.Command{
		Use:   "why SERVICE[/PROCESS]",
		Short: "Explain how processes came to be as they are",
		Long:  "Print the last exits with their cause, what the restart policy decided and when it forgets, failing health checks, and what to do.",
		Args:  oneArg("SERVICE[/PROCESS] (an id or a name, and a process_id)"),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			service, process := splitProcess(args)
			why, err := control.Why(c.Context(), service, process)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(why)
			}
			for _, y := range why {
				writeWhy(c.OutOrStdout(), y, time.Now())
			}
			return nil
		},
	}
	t.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func writeWhy(w io.Writer, y manager.Why, now time.Time) {
	fmt.Fprintf(w, "%s/%d is %s", y.Service, y.ProcessID, y.State)
	if y.PID != 0 {
		fmt.Fprintf(w, ", pid %d, up %s", y.PID, seconds(y.UptimeS))
	}
	fmt.Fprintf(w, ", generation %d, %d restarts\n", y.Generation, y.Restarts)
	if y.Reason != "" {
		fmt.Fprintf(w, "  because:  %s\n", y.Reason)
	}
	if y.Health != nil {
		fmt.Fprintf(w, "  health:   %d of %d checks failed: %s\n", y.Health.Misses, y.Health.Of, y.Health.Failing)
	}
	if y.NextTry != nil {
		fmt.Fprintf(w, "  next try: %s, in %s\n", clock(*y.NextTry), max(0, y.NextTry.Sub(now)).Round(100*time.Millisecond))
	}
	if y.Backoff != nil {
		fmt.Fprintf(w, "  decided:  %s\n  resets:   by %s", y.Backoff.Decision, y.Backoff.Resets)
		if y.Backoff.ResetsAt != nil {
			fmt.Fprintf(w, ", at %s", clock(*y.Backoff.ResetsAt))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "  to do:    %s\n", y.Advice)
	for _, e := range y.Exits {
		writeExit(w, e)
	}
}

func writeExit(w io.Writer, e manager.ProcessExit) {
	fmt.Fprintf(w, "  %s  generation %d", clock(e.At), e.Generation)
	if e.PID != 0 {
		fmt.Fprintf(w, ", pid %d", e.PID)
	}
	switch {
	case e.Signal != nil:
		fmt.Fprintf(w, ", %s", *e.Signal)
	case e.Code != nil:
		fmt.Fprintf(w, ", exit code %d", *e.Code)
	}
	fmt.Fprintf(w, " after %s: %s\n", time.Duration(e.UptimeS*float64(time.Second)).Round(time.Millisecond), e.Cause)
	for _, line := range e.Stderr {
		fmt.Fprintf(w, "      | %s\n", line)
	}
}
