package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newUpgrade() *cobra.Command {
	var ch change
	c := &cobra.Command{
		Use: "upgrade", Short: "Execute the new antano binary in place",
		Long: `Have the server execute the binary that is at its path now: the process keeps its pid,
plugin processes and clients stay, and nothing that was sent is lost. The new binary has
to accept the params first; one that does not changes nothing. SIGUSR2 does the same.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ch.run(c, func(ctx context.Context, control *manager.Control, take func(manager.Progress) error) error {
				return control.Upgrade(ctx, take)
			})
		},
	}
	ch.register(c)
	return c
}
