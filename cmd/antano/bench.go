package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/report"
	"github.com/antano/antano/internal/measure/work"
	"github.com/antano/antano/shared"
)

// bePartOfBench is what this binary does under other names: the plugin that `antano bench`
// measures the relay with, and clients of it.
func bePartOfBench() bool {
	if load.ServeOutside() {
		return true
	}
	if filepath.Base(os.Args[0]) != shared.PluginPrefix+rawplugin.Name {
		return false
	}
	rawplugin.Serve()
	return true
}

// benchFlags are those of `antano bench`.
type benchFlags struct {
	works      []string
	sizes      []string
	rounds     int
	duration   time.Duration
	quick      bool
	list       bool
	asJSON     bool
	pluginDirs []string
}

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure load, latency and memory on this machine",
		Long: `Measure load, latency and memory on this machine, with servers of its own in temporary
directories and on free ports: a server that runs is not touched, but shares the processors.
The figures are medians over the rounds. Ctrl-C ends it and leaves nothing behind.`,
		Example: `  antano bench --quick
  antano bench --works ping,fanout --rounds 5 --duration 2s
  antano bench --works relay --sizes relay=128,4096 --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringSliceVar(&f.works, "works", nil, "what to measure (default: all; --list shows them)")
	c.Flags().StringArrayVar(&f.sizes, "sizes", nil, "WORK=N,N,…: sizes of a work in place of its own (repeatable)")
	c.Flags().IntVar(&f.rounds, "rounds", 3, "how often to measure")
	c.Flags().DurationVar(&f.duration, "duration", time.Second, "how long each rate and each latency is measured")
	c.Flags().BoolVar(&f.quick, "quick", false, "a short look: small sizes, and, unless said otherwise, one round of 200 ms")
	c.Flags().BoolVar(&f.list, "list", false, "list the works and their sizes, and measure nothing")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	pluginDirFlag(c, &f.pluginDirs)
	return c
}

func (f *benchFlags) run(c *cobra.Command) error {
	o, err := f.options(c)
	if err != nil {
		return err
	}
	if f.list {
		tw := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "WORK\tSIZES\tMEASURES")
		for _, w := range o.Works {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", w.Name, strings.Trim(fmt.Sprint(w.Sizes), "[]"), w.Says)
		}
		return tw.Flush()
	}
	bar := newProgressBar(c.ErrOrStderr())
	o.Progress = bar.show
	d := report.Document{Version: version, Began: time.Now().UTC(), Rounds: o.Rounds, DurationS: o.Duration.Seconds(), Machine: report.ThisMachine()}
	table, err := work.Run(c.Context(), o)
	bar.end()
	if c.Context().Err() != nil {
		return errors.New("interrupted; what was started is gone")
	}
	if len(table.Rows) == 0 && err != nil {
		return err
	}
	d.TookS, d.Table = time.Since(d.Began).Seconds(), *table
	if f.asJSON {
		return errors.Join(err, d.JSON(c.OutOrStdout()))
	}
	return errors.Join(err, d.Write(c.OutOrStdout()))
}

// options checks the flags.
func (f *benchFlags) options(c *cobra.Command) (work.Options, error) {
	o := work.Options{PluginDirs: f.pluginDirs, Rounds: f.rounds, Duration: f.duration}
	if f.quick && !c.Flags().Changed("rounds") {
		o.Rounds = 1
	}
	if f.quick && !c.Flags().Changed("duration") {
		o.Duration = 200 * time.Millisecond
	}
	if o.Rounds < 1 {
		return o, usageError("--rounds is %d; it must be at least 1", o.Rounds)
	}
	if o.Duration < time.Millisecond || o.Duration > time.Hour {
		return o, usageError("--duration is %s; it must be from 1ms to 1h", o.Duration)
	}
	sizes, err := parseSizes(f.sizes)
	if err != nil {
		return o, err
	}
	if o.Works, err = work.Choose(f.works, f.quick, sizes); err != nil {
		return o, usageError("%v", err)
	}
	o.Bin, err = os.Executable()
	return o, err
}

func parseSizes(given []string) (map[string][]int, error) {
	sizes := map[string][]int{}
	for _, text := range given {
		name, list, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usageError("--sizes is %q and not WORK=N,N,…", text)
		}
		for _, number := range strings.Split(list, ",") {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > 10_000_000 {
				return nil, usageError("--sizes %q has %q, which is no number from 1 to 10000000", text, number)
			}
			sizes[name] = append(sizes[name], n)
		}
	}
	return sizes, nil
}
