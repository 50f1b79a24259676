package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/bench/internal/result"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/server"
)

const antanoName = "antano"

// sizes is how large the loads are.
type sizes struct {
	relay       []int // bytes of a message
	pairs       []int // of processes, besides one
	messages    int   // one way with the main size
	trips       int
	length      time.Duration // of a load with clients
	connections []int
	fanout      []int
	kills       int
	alone       map[string][]int // of the works of `antano bench`; its own where there are none
}

var (
	full = sizes{[]int{16, 128, 1 << 10, 16 << 10, 64 << 10}, []int{2, 4}, 1_000_000, 5000, 500 * time.Millisecond,
		[]int{1, 64, 1000}, []int{10, 1000, 20_000}, 30, nil}
	quick = sizes{[]int{128, 16 << 10}, []int{4}, 400_000, 3000, 300 * time.Millisecond,
		[]int{1, 64, 1000}, []int{10, 1000}, 10, map[string][]int{"idle": {10_000}, "groups": {1000, 100_000}, "start": {1, 10}, "restart": {2}}}
	// tiny is for tests: it shows that works work.
	tiny = sizes{[]int{128}, []int{2}, 2000, 200, 30 * time.Millisecond,
		[]int{4}, []int{10}, 1, map[string][]int{"idle": {100}, "groups": {100}, "start": {1}, "restart": {1}, "memory": {2}}}
)

type task struct {
	name string
	run  func(*bench, context.Context) error
}

// works are in the order of the page; alone ones have no peers.
func works() []task {
	return []task{
		{"relay", (*bench).relay},
		{"endtoend", (*bench).endToEnd},
		{"fanout", (*bench).fanOut},
		{"ping", (*bench).ping},
		{"convert", (*bench).convert},
		{"codec", (*bench).codec},
		{"kill", (*bench).kill},
		{"idle", alone("idle")},
		{"groups", alone("groups")},
		{"start", alone("start")},
		{"restart", alone("restart")},
		{"memory", alone("memory")},
		{"overload", alone("overload")},
	}
}

func workNames() (names []string) {
	for _, w := range works() {
		names = append(names, w.name)
	}
	return names
}

// bench is one run of the program.
type bench struct {
	bin     string
	rounds  int
	size    sizes
	run     result.Run
	started []broker
	ends    []func() error
}

func newBench(bin string, rounds int, size sizes) *bench {
	return &bench{bin: bin, rounds: rounds, size: size, run: result.New(rounds)}
}

// measure runs works by their names. One that fails does not keep others from being
// measured.
func (b *bench) measure(ctx context.Context, names []string) error {
	for _, name := range names {
		if !slices.Contains(workNames(), name) {
			return fmt.Errorf("no work %q, only %s", name, strings.Join(workNames(), ", "))
		}
	}
	var errs []error
	for _, w := range works() {
		if !slices.Contains(names, w.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "measuring %s …", w.name)
		err := w.run(b, ctx)
		fmt.Fprintf(os.Stderr, " %s\n", time.Since(began).Round(100*time.Millisecond))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			b.run.Skipped = append(b.run.Skipped, fmt.Sprintf("%s: %v", w.name, err))
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	return errors.Join(errs...)
}

// cleanup is called by close, last first.
func (b *bench) cleanup(end func() error) { b.ends = append(b.ends, end) }

func (b *bench) close() error {
	var errs []error
	for _, end := range slices.Backward(b.ends) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// serve runs the built antano.
func (b *bench) serve(ctx context.Context, params string) (*server.Server, error) {
	return server.Run(ctx, server.Config{Bin: b.bin, Params: params, Level: "warn", Plugin: rawplugin.Name})
}

// add records a figure of antano or of a peer.
func (b *bench) add(work, figure, unit string, value float64) {
	b.run.Table.Add(work, figure, unit, value)
}
