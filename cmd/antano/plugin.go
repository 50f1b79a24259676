package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
)

func newPlugin() *cobra.Command {
	c := &cobra.Command{Use: "plugin", Short: "Look at service plugins, write, test or debug one", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newPluginList(), newPluginDescribe(), newPluginTest(), newPluginNew(), newPluginAttach())
	return c
}

func newPluginList() *cobra.Command {
	var dirs []string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the plugins found in the plugin directories", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			plugins, err := manager.Plugins(c.Context(), dirs)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(plugins)
			}
			tw := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "TYPE\tNAME\tVERSION\tTRANSPORT\tPATH\tPROBLEM")
			for _, p := range plugins {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", p.Type, p.Description.Name, p.Description.Version, p.Description.Transport, p.Path, p.Problem)
			}
			return tw.Flush()
		},
	}
	pluginDirFlag(c, &dirs)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newPluginDescribe() *cobra.Command {
	var dirs []string
	c := &cobra.Command{
		Use: "describe TYPE", Short: "Print what a plugin says of itself, as JSON", Args: oneArg("TYPE"),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := manager.DescribePlugin(c.Context(), dirs, args[0])
			if err != nil {
				return err
			}
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(p)
		},
	}
	pluginDirFlag(c, &dirs)
	return c
}

func pluginDirFlag(c *cobra.Command, dirs *[]string) {
	c.Flags().StringArrayVar(dirs, "plugin-dir", nil, "directory with antano-service-* plugins (repeatable; default: plugins/ beside this binary, then $ANTANO_PLUGIN_DIR)")
}
