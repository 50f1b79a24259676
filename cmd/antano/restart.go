package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

// change is a command that changes a running server and shows what happens.
type change struct {
	target
	asJSON bool
}

func (ch *change) register(c *cobra.Command) {
	ch.target.register(c)
	c.Flags().BoolVar(&ch.asJSON, "json", false, "print what happens as JSON, one object a line")
}

// run makes the change and prints its steps to standard output. The server completes it
// even if we are told to end.
func (ch *change) run(c *cobra.Command, make func(context.Context, *manager.Control, func(manager.Progress) error) error) error {
	control, err := ch.connect()
	if err != nil {
		return err
	}
	out := json.NewEncoder(c.OutOrStdout())
	err = make(c.Context(), control, func(p manager.Progress) error {
		for _, line := range p.Stderr {
			fmt.Fprintln(c.ErrOrStderr(), "  |", line)
		}
		if ch.asJSON {
			return out.Encode(p)
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), p.Message)
		return err
	})
	if err != nil && c.Context().Err() != nil {
		return errors.New("not waiting any longer; the server goes on with it: 'antano events' shows how, 'antano status' where it is")
	}
	return err
}

// newChange is one of restart, stop and start.
func newChange(verb, short, long string, order func(*manager.Control, context.Context, string, string, func(manager.Progress) error) error) *cobra.Command {
	var ch change
	c := &cobra.Command{
		Use: verb + " SERVICE[/PROCESS]", Short: short, Long: long, Args: oneArg("SERVICE or SERVICE/PROCESS"),
		RunE: func(c *cobra.Command, args []string) error {
			service, process, named := strings.Cut(args[0], "/")
			if service == "" || named && process == "" {
				return usageError("%q is neither SERVICE nor SERVICE/PROCESS", args[0])
			}
			return ch.run(c, func(ctx context.Context, control *manager.Control, take func(manager.Progress) error) error {
				return order(control, ctx, service, process, take)
			})
		},
	}
	ch.register(c)
	return c
}

func newRestart() *cobra.Command {
	return newChange("restart", "Replace processes one after another, new before old",
		`Replace the processes of a service, or one of them, one after another: a new one is
started beside the old one and takes over once it is ready, clients included; it has to
be ready for 2 s before the next one is replaced. One that does not become ready, or does
not last, ends the restart: the old one serves on, the exit code is 1 and the last lines
that the new one printed are shown. The plugin is the one that is on disk now.`, (*manager.Control).Restart)
}

func newStop() *cobra.Command {
	return newChange("stop", "Stop a service, or one of its processes, until it is started",
		`Drain and stop the processes of a service, or one of them. With the last one its
sockets are closed, so that clients are refused at once. It stays stopped, also over a
reload, until 'antano start' or the next start of the server.`, (*manager.Control).Stop)
}

func newStart() *cobra.Command {
	return newChange("start", "Start what was stopped, or has failed",
		`Start the processes of a service, or one of them, that were stopped, failed or wait for
their next start, and wait until they are ready. The service listens at the address that
it had.`, (*manager.Control).Start)
}

func newScale() *cobra.Command {
	var ch change
	c := &cobra.Command{
		Use: "scale SERVICE=N", Short: "Change how many processes a service has",
		Long: `Add processes to a service, or remove those with the highest process ids, whose clients
move to their siblings. It lasts until the next reload or start of the server, which do as
params say.`,
		Args: oneArg("SERVICE=N"),
		RunE: func(c *cobra.Command, args []string) error {
			service, number, ok := strings.Cut(args[0], "=")
			n, err := strconv.Atoi(number)
			if !ok || service == "" || err != nil {
				return usageError("%q is not SERVICE=N with a number N", args[0])
			}
			return ch.run(c, func(ctx context.Context, control *manager.Control, take func(manager.Progress) error) error {
				return control.Scale(ctx, service, n, take)
			})
		},
	}
	ch.register(c)
	return c
}
