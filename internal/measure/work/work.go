// Package work is what `antano bench` measures: each work runs servers of its own from
// the installed binary and plugins, loads them, and adds its figures to a table.
package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/internal/measure/report"
	"github.com/antano/antano/internal/measure/server"
)

// Work is one kind of measurement. It is done once for each of its sizes.
type Work struct {
	Name  string
	Says  string
	Sizes []int // by default
	Quick []int // the same, for a short look
	// Once is for a work whose figures are sums over so much that one round tells.
	Once bool

	run func(*bench, context.Context, int) error
}

// All is every work.
func All() []Work {
	return []Work{
		{Name: "relay", Says: "messages between two processes through the manager, by bytes of a message", Sizes: []int{16, 128, 1024, 65536}, Quick: []int{128}, run: (*bench).relay},
		{Name: "pairs", Says: "the same with 128 bytes, by processes, half of which send", Sizes: []int{2, 4, 8}, Quick: []int{4}, run: (*bench).pairs},
		{Name: "deliver", Says: "client to client in another process, by bytes of a message", Sizes: []int{128}, Quick: []int{128}, run: (*bench).deliver},
		{Name: "fanout", Says: "one message to every member of a group, by members", Sizes: []int{10, 1000, 20000}, Quick: []int{10, 100}, run: (*bench).fanOut},
		{Name: "ping", Says: "request and answer of clients and their process, by connections", Sizes: []int{1, 64, 1000}, Quick: []int{64}, run: (*bench).ping},
		{Name: "convert", Says: "JSON clients to msgpack clients and back, by bytes of a message", Sizes: []int{128}, Quick: []int{128}, run: (*bench).convert},
		{Name: "idle", Says: "memory of idle connections, by connections", Sizes: []int{10000, 50000}, Quick: []int{1000}, Once: true, run: (*bench).idle},
		{Name: "groups", Says: "memory of groups with one member, and messages to them at random, by groups", Sizes: []int{1000, 100000, 1000000}, Quick: []int{1000, 10000}, Once: true, run: (*bench).groups},
		{Name: "start", Says: "from the start of the server until it is ready, by processes", Sizes: []int{1, 10, 50}, Quick: []int{1, 10}, run: (*bench).start},
		{Name: "kill", Says: "from a SIGKILL of the only process until a new client has its answer, by kills", Sizes: []int{10}, Quick: []int{3}, run: (*bench).kill},
		{Name: "restart", Says: "rolling restart under clients, by processes", Sizes: []int{10}, Quick: []int{2}, Once: true, run: (*bench).restart},
		{Name: "memory", Says: "memory and processor time of an idle server, by processes of its service", Sizes: []int{2}, Quick: []int{2}, Once: true, run: (*bench).memory},
		{Name: "overload", Says: "latency of others while a client that does not read is flooded, by bytes of a message", Sizes: []int{128}, Quick: []int{128}, run: (*bench).overload},
	}
}

// Options say what Run does.
type Options struct {
	Bin        string   // the antano command
	PluginDirs []string // empty: where it looks by default
	Works      []Work
	Rounds     int
	Duration   time.Duration // of each measurement of a rate or a latency
	// Progress is called before each step, and with done == steps at the end.
	Progress func(done, steps int, what string)
}

// bench is one run.
type bench struct {
	Options
	table *report.Table
}

// errTooMany is wrapped by the reason to skip a size on this machine.
var errTooMany = errors.New("not on this machine")

// Run does the works, round by round, and returns their figures; with an error those that
// it has until then. It ends early with the error of ctx. A size that this machine does not allow is noted in the table as skipped.
// Nothing that it started is left when it returns.
func Run(ctx context.Context, o Options) (*report.Table, error) {
	b := &bench{Options: o, table: &report.Table{}}
	type step struct {
		work Work
		size int
	}
	var steps []step
	for round := range o.Rounds {
		for _, w := range o.Works {
			for _, size := range w.Sizes {
				if round == 0 || !w.Once {
					steps = append(steps, step{w, size})
				}
			}
		}
	}
	skipped := map[string]bool{}
	for i, s := range steps {
		what := fmt.Sprintf("%s %d", s.work.Name, s.size)
		if skipped[what] {
			continue
		}
		o.Progress(i, len(steps), what)
		err := s.work.run(b, ctx, s.size)
		if ctx.Err() != nil {
			return b.table, context.Cause(ctx)
		}
		if errors.Is(err, errTooMany) {
			skipped[what] = true
			b.table.Skip(s.work.Name, fmt.Sprint(s.size), err.Error())
			continue
		}
		if err != nil {
			return b.table, fmt.Errorf("%s: %w", what, err)
		}
	}
	o.Progress(len(steps), len(steps), "done")
	return b.table, nil
}

// Choose returns the works with these names, in the order of All; all for none. Sizes of
// a work, by its name, take the place of its own.
func Choose(names []string, quick bool, sizes map[string][]int) ([]Work, error) {
	all := All()
	var known []string
	for _, w := range all {
		known = append(known, w.Name)
	}
	for name := range sizes {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no work %q to give sizes to; the works are %s", name, strings.Join(known, ", "))
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no work %q; the works are %s", name, strings.Join(known, ", "))
		}
	}
	var chosen []Work
	for _, w := range all {
		if len(names) > 0 && !slices.Contains(names, w.Name) {
			continue
		}
		if quick {
			w.Sizes = w.Quick
		}
		if given := sizes[w.Name]; len(given) > 0 {
			w.Sizes = given
		}
		chosen = append(chosen, w)
	}
	return chosen, nil
}

// serve runs a server with these params.
func (b *bench) serve(ctx context.Context, params string) (*server.Server, error) {
	return server.Run(ctx, server.Config{Bin: b.Bin, Params: params + tuning, Level: "error", PluginDirs: b.PluginDirs})
}

// tuning is in the params of all servers. They leave nothing behind for longer than a
// second, however they end.
const tuning = `
adoption_window: 1s
`

// add records a figure of a size.
func (b *bench) add(work string, figure, unit string, value float64) {
	b.table.Add(work, figure, unit, value)
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
