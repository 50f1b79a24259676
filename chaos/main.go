package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/antano/antano/internal/testserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := chaos(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1)
	}
}

var errBars = errors.New("not every bar is met")

// chaos runs the faults that the arguments name.
func chaos(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	only := flags.String("fault", "", "faults to run, with commas (default: all); see below")
	o := options{strict: true}
	flags.DurationVar(&o.duration, "duration", 10*time.Second, "how long each fault goes on")
	flags.Uint64Var(&o.seed, "seed", 0, "of what is done when; 0: chosen, and printed")
	file := flags.String("json", "", "also write the results as JSON to this file")
	flags.StringVar(&o.logs, "logs", "", "keep the log of every server in this directory")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: chaos [flags]")
		flags.PrintDefaults()
		for _, f := range all() {
			fmt.Fprintf(flags.Output(), "  %-12s %s\n", f.name, f.says)
		}
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	dir, err := os.MkdirTemp("", "ac")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.binDir = dir
	if err := testserver.Build(dir, nil); err != nil {
		return err
	}
	var results []result
	for _, f := range chosen {
		fmt.Fprintf(os.Stderr, "%s: %s (seed %d)\n", f.name, f.says, o.seed)
		r, err := disturb(ctx, f, o)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		results = append(results, r)
	}
	if err := errors.Join(printTable(os.Stdout, results), writeJSON(*file, results)); err != nil {
		return err
	}
	if slices.ContainsFunc(results, func(r result) bool { return len(r.Unmet) > 0 }) {
		return errBars
	}
	return nil
}

// choose returns the faults with these names.
func choose(names string) (chosen []fault, err error) {
	if names == "" {
		return all(), nil
	}
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(all(), func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no fault %q; -h lists them", name)
		}
		chosen = append(chosen, all()[i])
	}
	return chosen, nil
}

func writeJSON(file string, results []result) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
