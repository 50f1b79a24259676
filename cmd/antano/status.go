package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newStatus() *cobra.Command {
	var t target
	var asJSON, watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the services and processes of a running server",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			for {
				s, err := control.Status(c.Context())
				if err != nil {
					return err
				}
				if err := writeStatus(c.OutOrStdout(), s, asJSON); err != nil || !watch {
					return err
				}
				select {
				case <-c.Context().Done():
					return nil
				case <-time.After(time.Second):
				}
			}
		},
	}
	t.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&watch, "watch", false, "print again every second")
	return c
}

func writeStatus(w io.Writer, s manager.Status, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintf(w, "server %d: %s, pid %d, version %s, up %s\n", s.ServerID, s.State, s.PID, s.Version, seconds(s.UptimeS))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SERVICE\tTYPE\tADDRESS\tSTATE\tPROCESS\tPID\tSTATE\tGEN\tRESTARTS\tUP\tCLIENTS\tIN\tOUT\tDROPS")
	for _, svc := range s.Services {
		for _, p := range svc.Processes {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", svc.Name, svc.Type, svc.Address, svc.State,
				p.ProcessID, p.PID, p.State, p.Generation, p.Restarts, seconds(p.UptimeS), p.Clients, p.MessagesIn, p.MessagesOut, sum(p.Drops))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, svc := range s.Services {
		for _, p := range svc.Processes {
			if p.LastExit != nil && p.State != "ready" {
				fmt.Fprintf(w, "%s/%d: %s\n", svc.Name, p.ProcessID, p.LastExit.Cause)
			}
		}
	}
	return nil
}

func sum(drops map[string]uint64) (n uint64) {
	for _, d := range drops {
		n += d
	}
	return n
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Truncate(time.Second).String()
}

func newClients() *cobra.Command {
	var t target
	var asJSON bool
	c := &cobra.Command{
		Use:   "clients SERVICE",
		Short: "List who is connected to a service",
		Args:  oneArg("SERVICE (an id or a name)"),
		RunE: func(c *cobra.Command, args []string) error {
			control, err := t.connect()
			if err != nil {
				return err
			}
			clients, err := control.Clients(c.Context(), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(clients)
			}
			tw := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "CLIENT\tPROCESS\tADDRESS\tCONNECTED\tIN\tOUT\tQUEUED\tGROUPS")
			for _, k := range clients {
				fmt.Fprintf(tw, "%d\t%d\t%s\t%s\t%d\t%d\t%d\t%d\n", k.ID, k.ProcessID, k.Address, k.Connected.Format(time.RFC3339), k.MessagesIn, k.MessagesOut, k.QueuedBytes, k.Groups)
			}
			return tw.Flush()
		},
	}
	t.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
