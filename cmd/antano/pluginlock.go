package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newPluginLock() *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use: "lock", Short: "Pin the plugins of a directory as they are now: others are refused there", Args: noArgs,
		Long: `Pin the plugins of each --plugin-dir as they are now, in its file plugins.lock: from then on 'run', 'validate'
and 'reload' refuse a plugin there that has changed or is not listed. The file has the form of sha256sum.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(dirs) == 0 {
				return usageError("plugin lock wants at least one --plugin-dir")
			}
			for _, dir := range dirs {
				file, pinned, err := manager.LockPlugins(dir)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", file, strings.Join(pinned, " "))
			}
			return nil
		},
	}
	c.Flags().StringArrayVar(&dirs, "plugin-dir", nil, "directory with antano-service-* plugins (repeatable)")
	return c
}
