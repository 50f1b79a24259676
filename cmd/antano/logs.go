package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newLogs() *cobra.Command {
	var t target
	var asJSON, follow bool
	c := &cobra.Command{
		Use:   "logs [SERVICE[/PROCESS]]",
		Short: "Show what the server and its plugins logged",
		Long: `Print the last lines that the server remembers, its own and what its plugins printed;
of a service or a process, those about it. With -f go on with what comes.`,
		Args: atMostOne("SERVICE[/PROCESS]"),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			service, process := splitProcess(args)
			out := json.NewEncoder(c.OutOrStdout())
			return untilTold(c.Context(), control.Logs(c.Context(), service, process, follow, func(l manager.LogLine) error {
				if asJSON {
					return out.Encode(l)
				}
				return writeLine(c.OutOrStdout(), l)
			}))
		},
	}
	t.register(c)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one line a line")
	return c
}

func writeLine(w io.Writer, l manager.LogLine) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s [%-5s] ", clock(l.Time), strings.ToUpper(l.Level))
	switch {
	case l.Service != "" && l.ProcessID != nil:
		fmt.Fprintf(&b, "%s/%d", l.Service, *l.ProcessID)
		if l.PID != 0 {
			fmt.Fprintf(&b, "[%d]", l.PID)
		}
	case l.Service != "":
		b.WriteString(l.Service)
	default:
		b.WriteString("antano")
	}
	if l.Source == "plugin" {
		b.WriteString(">")
	} else {
		b.WriteString(":")
	}
	b.WriteString(" " + l.Message)
	for _, key := range slices.Sorted(maps.Keys(l.Fields)) {
		fmt.Fprintf(&b, " %s=%q", key, l.Fields[key])
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}
