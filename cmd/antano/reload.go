package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newReload() *cobra.Command {
	var ch change
	var dryRun bool
	c := &cobra.Command{
		Use: "reload", Short: "Apply what has changed in params and plugins",
		Long: `Read the params file and the plugins again and apply the difference only: services are
added, removed, replaced process by process, or scaled, and what is the same keeps its
processes and clients. Mistakes are told all at once and change nothing. What was stopped
stays so. SIGHUP does the same.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ch.run(c, func(ctx context.Context, control *manager.Control, take func(manager.Progress) error) error {
				return control.Reload(ctx, dryRun, take)
			})
		},
	}
	ch.register(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would change")
	return c
}
