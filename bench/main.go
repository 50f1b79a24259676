// Command bench measures a built antano beside what people would use instead and
// beside yardsticks of its own, alternating, several rounds in one run, and writes a
// table, JSON and a page with plots. `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/antano/antano/bench/internal/page"
	"github.com/antano/antano/bench/internal/result"
	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/shared"
)

func main() {
	if takePart() {
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// takePart reports whether this process was started by a bench, as a part of what it
// measures, and then is that until it ends.
func takePart() bool {
	if load.ServeOutside() {
		return true
	}
	if role := os.Getenv(roleKey); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench", role+":", err)
			os.Exit(1)
		}
		return true
	}
	if os.Getenv(shared.CookieKey) != "" {
		rawplugin.Serve()
		return true
	}
	return false
}

// options is the command line.
type options struct {
	works, bin, json, docs, from string
	rounds                       int
	quick                        bool
}

func run() error {
	var o options
	flag.StringVar(&o.works, "works", "", "what to measure, without -from all of "+strings.Join(workNames(), ","))
	flag.StringVar(&o.bin, "antano", "../bin/antano", "the antano command, with plugins/ beside it")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each work is run")
	flag.BoolVar(&o.quick, "quick", false, "smaller loads: a first impression")
	flag.StringVar(&o.json, "json", "", "also write the result as JSON to this file")
	flag.StringVar(&o.docs, "docs", "", "also write benchmarks.md, its plots and its JSON to this folder")
	flag.StringVar(&o.from, "from", "", "begin with the result in this JSON file, and measure only works that are named")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, failed := o.result(ctx)
	if r == nil {
		return failed
	}
	if err := r.Text(os.Stdout); err != nil {
		return errors.Join(failed, err)
	}
	if o.json != "" {
		if err := r.Save(o.json); err != nil {
			return errors.Join(failed, err)
		}
	}
	if failed != nil {
		return failed // the page stays that of a run without
	}
	if o.docs != "" {
		return page.Write(o.docs, r)
	}
	return nil
}

// result measures, or reads what was measured.
func (o options) result(ctx context.Context) (*result.Run, error) {
	if o.from == "" {
		return o.measure(ctx)
	}
	r, err := result.Load(o.from)
	if err != nil || o.works == "" {
		return r, err
	}
	later, err := o.measure(ctx)
	if err != nil {
		return nil, err
	}
	r.Merge(later)
	return r, nil
}

func (o options) measure(ctx context.Context) (*result.Run, error) {
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return nil, err
	}
	size := full
	if o.quick {
		size = quick
	}
	b := newBench(bin, o.rounds, size)
	b.run.Quick = o.quick
	names := workNames()
	if o.works != "" {
		names = strings.Split(o.works, ",")
	}
	err = b.measure(ctx, names)
	b.run.Judge()
	return &b.run, errors.Join(err, b.close())
}
