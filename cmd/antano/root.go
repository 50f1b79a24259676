package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "antano",
		Short:         "A server for messages between clients on different transports",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var showVersion bool
	root.Flags().BoolVarP(&showVersion, "version", "v", false, "print the version")
	root.PreRunE = nil
	root.RunE = func(c *cobra.Command, _ []string) error {
		if showVersion {
			fmt.Fprintln(c.OutOrStdout(), "antano", version)
			return nil
		}
		return c.Help()
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%v; see '%s --help'", err, c.CommandPath())
	})
	root.AddCommand(newRun(), newValidate(), newStatus(), newSend(), newListen(), newClients(), newRestart(), newStop(), newStart(), newScale(), newReload(), newUpgrade(), newKick(), newWhy(), newLogs(), newEvents(), newBench(), newPlugin(), newVersion())
	root.InitDefaultCompletionCmd()
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "antano", version) },
	}
}

// usageError is what ends a command with exit code 2.
func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", manager.ErrUsage, fmt.Sprintf(format, args...))
}

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		return usageError("%q is not a command of %s; see '%s --help'", args[0], c.CommandPath(), c.CommandPath())
	}
	return usageError("%s takes no argument, not %q; see '%s --help'", c.CommandPath(), args[0], c.CommandPath())
}

// oneArg wants exactly one argument, named for people.
func oneArg(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return usageError("%s takes exactly one argument, %s, not %d; see '%s --help'", c.CommandPath(), name, len(args), c.CommandPath())
	}
}

// atMostOne wants one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usageError("%s takes at most one argument, %s, not %d; see '%s --help'", c.CommandPath(), name, len(args), c.CommandPath())
	}
}

// target is the server that a command talks to.
type target struct {
	dir string
	id  int
}

func (t *target) register(c *cobra.Command) {
	c.Flags().StringVar(&t.dir, "runtime-dir", "", "runtime directory of the server (default: that of --id)")
	c.Flags().IntVarP(&t.id, "id", "i", 1, "antano server id; -1: that of the development params, 1")
}

func (t *target) runtimeDir() (string, error) {
	id := t.id
	if id == -1 {
		id = 1
	}
	return manager.RuntimeDir(t.dir, id)
}

func (t *target) connect() (*manager.Control, error) {
	dir, err := t.runtimeDir()
	if err != nil {
		return nil, err
	}
	return manager.Connect(dir)
}
