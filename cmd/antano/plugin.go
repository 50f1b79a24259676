package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/antano/antano/manager"
	"github.com/antano/antano/shared"
)

func newPlugin() *cobra.Command {
	c := &cobra.Command{Use: "plugin", Short: "Look at service plugins; write, test, pin or debug one", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newPluginList(), newPluginDescribe(), newPluginTest(), newPluginNew(), newPluginLock(), newPluginAttach())
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
			fmt.Fprintln(tw, "TYPE\tNAME\tVERSION\tTRANSPORT\tCAN\tFORMATS\tSETTINGS\tSHA256\tPATH\tPROBLEM")
			for _, p := range plugins {
				d := p.Description
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.12s\t%s\t%s\n", p.Type, d.Name, d.Version, d.Transport, capabilities(d), formatNames(d), settingNames(d), p.SHA256, p.Path, p.Problem)
			}
			return tw.Flush()
		},
	}
	pluginDirFlag(c, &dirs)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// capabilities are what a plugin can do, for people.
func capabilities(d shared.Description) string {
	var can []string
	for name, has := range map[string]bool{"send": d.CanSend, "handle": d.Handler, "hand-over": d.Handover} {
		if has {
			can = append(can, name)
		}
	}
	slices.Sort(can)
	return strings.Join(can, ",")
}

// formatNames are the formats of a plugin, of both directions where they differ.
func formatNames(d shared.Description) string {
	names := func(formats shared.Formats) string {
		var all []string
		for _, f := range formats {
			all = append(all, f.String())
		}
		return strings.Join(all, ",")
	}
	in, out := names(d.FormatsIn), names(d.FormatsOut)
	if in == out {
		return in
	}
	return in + "→" + out
}

// settingNames are the settings that the schema of a plugin names.
func settingNames(d shared.Description) string {
	var schema struct {
		Properties map[string]json.RawMessage
	}
	if len(d.Settings) == 0 || json.Unmarshal(d.Settings, &schema) != nil {
		return ""
	}
	return strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ",")
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
