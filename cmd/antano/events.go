package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newEvents() *cobra.Command {
	var t target
	var asJSON, past bool
	c := &cobra.Command{
		Use:   "events [SERVICE[/PROCESS]]",
		Short: "Follow what happens in a running server",
		Long: `Print every event from now on: processes that start, end and come back, with the
evidence, slots adopted, clients kicked, messages dropped. It ends with the server.`,
		Args: atMostOne("SERVICE[/PROCESS]"),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			service, process := splitProcess(args)
			out := json.NewEncoder(c.OutOrStdout())
			return untilTold(c.Context(), control.Events(c.Context(), service, process, past, func(e manager.Event) error {
				if asJSON {
					return out.Encode(e)
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s  %-8s %s\n", clock(e.Time), e.Type, e.Message)
				return err
			}))
		},
	}
	t.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one event a line")
	c.Flags().BoolVar(&past, "past", false, "begin with the events that the server remembers")
	return c
}

// splitProcess takes SERVICE[/PROCESS] apart.
func splitProcess(args []string) (service, process string) {
	if len(args) == 0 {
		return "", ""
	}
	service, process, _ = strings.Cut(args[0], "/")
	return service, process
}

// untilTold is nil for a command that ended because it was told to.
func untilTold(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// clock shows a moment in local time.
func clock(t time.Time) string { return t.Local().Format("2006-01-02T15:04:05.000") }
