// Command bench measures a built antano beside yardsticks of its own, alternating,
// several rounds in one run. `make bench` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/report"
	"github.com/antano/antano/shared"
)

// roleKey tells a child of this program what it is.
const roleKey = "ANTANO_BENCH_ROLE"

func main() {
	if role := os.Getenv(roleKey); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench", role+":", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(shared.CookieKey) != "" {
		rawplugin.Serve()
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of the program.
type bench struct {
	bin    string
	rounds int
	table  report.Table
}

type work struct {
	name string
	run  func(*bench, context.Context) error
}

var works = []work{
	{"relay", (*bench).relay},
	{"ping", (*bench).ping},
	{"restart", (*bench).restart},
	{"start", (*bench).start},
	{"memory", (*bench).memory},
}

func run() error {
	b := &bench{}
	var names []string
	for _, w := range works {
		names = append(names, w.name)
	}
	only := flag.String("works", strings.Join(names, ","), "what to measure")
	out := flag.String("json", "", "also write the table as JSON to this file")
	flag.StringVar(&b.bin, "antano", "../bin/antano", "the antano command, with plugins/ beside it")
	flag.IntVar(&b.rounds, "rounds", 5, "how often each work is run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	for _, name := range strings.Split(*only, ",") {
		i := slices.IndexFunc(works, func(w work) bool { return w.name == name })
		if i < 0 {
			return fmt.Errorf("no work %q, only %s", name, strings.Join(names, ", "))
		}
		fmt.Fprintln(os.Stderr, "measuring", name)
		if err := works[i].run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := b.table.Write(os.Stdout); err != nil || *out == "" {
		return err
	}
	f, err := os.Create(*out)
	if err != nil {
		return err
	}
	return errors.Join(b.table.JSON(f), f.Close())
}
