package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager/conformance"
)

func newPluginTest() *cobra.Command {
	var asJSON bool
	var settings, message string
	var o conformance.Options
	c := &cobra.Command{
		Use: "test PATH", Short: "Try a plugin, in whatever language, against docs/protocol.md", Args: oneArg("PATH"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			o.Path = args[0]
			if o.Settings, err = jsonFlag("settings", settings); err != nil {
				return err
			}
			if o.Message, err = jsonFlag("message", message); err != nil {
				return err
			}
			if o.Timeout <= 0 {
				return usageError("--timeout %v is not above 0", o.Timeout)
			}
			if !asJSON {
				o.OnVerdict = func(v conformance.Verdict) { printVerdict(c.OutOrStdout(), v) }
			}
			report, err := conformance.Run(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				if err := e.Encode(report); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed, %d skipped\n", report.Passed, report.Failed, report.Skipped)
			}
			return report.Err()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object at the end")
	c.Flags().StringVar(&settings, "settings", "", "settings of the service: JSON, or @FILE (default {}, or those of --params)")
	c.Flags().StringVar(&message, "message", "", "what a handler is sent: JSON, or @FILE (default a string)")
	c.Flags().StringVar(&o.Params, "params", "", "params file whose first row of the plugin's type is served; its address is not used")
	c.Flags().StringVar(&o.Client, "client", "", "command that is a client: JSON message objects as lines, $ANTANO_ADDRESS and $ANTANO_ENDPOINT say where; none: skip what needs clients")
	c.Flags().StringArrayVar(&o.Points, "point", nil, "only this point, and what it stands on (repeatable)")
	c.Flags().DurationVar(&o.Timeout, "timeout", 30*time.Second, "how long each point may take")
	c.Flags().IntVar(&o.Parallel, "parallel", 0, "how many points are tried at a time (default: twice the number of CPUs)")
	return c
}

// jsonFlag reads a flag that is JSON or names a file with it; nil when it was not given.
func jsonFlag(name, value string) (json.RawMessage, error) {
	if value == "" {
		return nil, nil
	}
	text := []byte(value)
	if file, ok := strings.CutPrefix(value, "@"); ok {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, usageError("--%s: %v", name, err)
		}
	}
	if !json.Valid(text) {
		return nil, usageError("--%s %.80q is not JSON; quote it for the shell, or write it into a file and give @FILE", name, text)
	}
	return text, nil
}

func printVerdict(w io.Writer, v conformance.Verdict) {
	fmt.Fprintf(w, "%s  %-16s %s\n", v.Verdict, v.ID, v.Title)
	if v.Verdict != conformance.Pass {
		fmt.Fprintf(w, "      %s (%s)\n", v.Seen, v.Section)
	}
}
