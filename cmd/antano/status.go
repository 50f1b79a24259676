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
			var before *manager.Status
			for {
				s, err := control.Status(c.Context())
				if err != nil {
					return err
				}
				if err := writeStatus(c.OutOrStdout(), s, before, asJSON); err != nil || !watch {
					return err
				}
				before = &s
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
	c.Flags().BoolVar(&watch, "watch", false, "print again every second, with messages a second")
	return c
}

// writeStatus shows s, and what happens in a second when an earlier status is given.
func writeStatus(w io.Writer, s manager.Status, before *manager.Status, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintf(w, "server %d: %s, pid %d, version %s, up %s\n", s.ServerID, s.State, s.PID, s.Version, seconds(s.UptimeS))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "SERVICE\tTYPE\tADDRESS\tSTATE\tPROCESS\tPID\tSTATE\tGEN\tRESTARTS\tUP\tCLIENTS\tIN\tOUT\tQUEUED\tDROPS")
	if before != nil {
		fmt.Fprint(tw, "\tIN/S\tOUT/S\tDROPS/S")
	}
	fmt.Fprintln(tw)
	for _, svc := range s.Services {
		for _, p := range svc.Processes {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d", svc.Name, svc.Type, svc.Address, svc.State,
				p.ProcessID, p.PID, p.State, p.Generation, p.Restarts, seconds(p.UptimeS), p.Clients, p.MessagesIn, p.MessagesOut, p.QueuedBytes+p.LinkOutBytes, sum(p.Drops))
			if before != nil {
				writeRates(tw, p, processOf(before, p.ProcessID), s.UptimeS-before.UptimeS)
			}
			fmt.Fprintln(tw)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, svc := range s.Services {
		writeNotes(w, svc)
	}
	return nil
}

// processOf finds a process in a status; nothing counted when it was not there.
func processOf(s *manager.Status, id int) manager.ProcessStatus {
	for _, svc := range s.Services {
		for _, p := range svc.Processes {
			if p.ProcessID == id {
				return p
			}
		}
	}
	return manager.ProcessStatus{}
}

func writeRates(w io.Writer, now, before manager.ProcessStatus, seconds float64) {
	rate := func(now, before uint64) float64 {
		if seconds <= 0 || now < before { // another server
			return 0
		}
		return float64(now-before) / seconds
	}
	fmt.Fprintf(w, "\t%.0f\t%.0f\t%.0f", rate(now.MessagesIn, before.MessagesIn), rate(now.MessagesOut, before.MessagesOut), rate(sum(now.Drops), sum(before.Drops)))
}

// writeNotes shows what is not as it should be.
func writeNotes(w io.Writer, svc manager.ServiceStatus) {
	for _, s := range svc.Sockets {
		if s.AcceptQueue != nil && s.AcceptLimit != nil && *s.AcceptQueue > 0 {
			fmt.Fprintf(w, "%s: %d connections wait to be accepted, of at most %d\n", svc.Name, *s.AcceptQueue, *s.AcceptLimit)
		}
		if s.ReceiveQueueBytes != nil && *s.ReceiveQueueBytes > 0 {
			fmt.Fprintf(w, "%s: %d bytes wait to be received\n", svc.Name, *s.ReceiveQueueBytes)
		}
		if s.KernelDrops != nil && *s.KernelDrops > 0 {
			fmt.Fprintf(w, "%s: the kernel discarded %d datagrams\n", svc.Name, *s.KernelDrops)
		}
	}
	for _, p := range svc.Processes {
		for _, g := range p.Beside {
			fmt.Fprintf(w, "%s/%d: generation %d, pid %d, is %s beside generation %d, up %s\n", svc.Name, p.ProcessID, g.Generation, g.PID, g.State,
				p.Generation, seconds(g.UptimeS))
		}
		if p.LastExit != nil && p.State != "ready" {
			fmt.Fprintf(w, "%s/%d: %s; 'antano why %s/%d' says more\n", svc.Name, p.ProcessID, p.LastExit.Cause, svc.Name, p.ProcessID)
		}
	}
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
