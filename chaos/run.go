package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/chaos/internal/load"
	"github.com/antano/antano/internal/testserver"
	"github.com/antano/antano/manager"
)

// run is one fault on one server.
type run struct {
	fault     fault
	binDir    string
	seed      uint64
	random    *rand.Rand
	server    *testserver.Server
	addresses map[string]string
	fleet     *load.Fleet
	book      *ledger.Book
	until     time.Time
	repeats   int
	replaced  []time.Duration // from a fault to its replacement
	down      []load.Span     // when there was no manager
	logs      []string        // of managers that are gone
	drops     drops
	before    footprint
}

const (
	// recovery bounds the waits for a server to be as before.
	recovery = 40 * time.Second
	// settling is a little more than the answers to messages may take.
	settling = 8 * time.Second
	// quiet is for how long nothing must change before the books are closed with
	// something unexplained; the kernel's drops are counted once a second.
	quiet = 2 * time.Second
)

// disturb runs one fault on a server of its own and judges it.
func disturb(ctx context.Context, f fault, o options) (res result, err error) {
	server, err := testserver.Prepare(o.binDir, f.file())
	if err != nil {
		return res, err
	}
	r := &run{fault: f, binDir: o.binDir, seed: o.seed, random: rand.New(rand.NewPCG(o.seed, 0)), server: server,
		addresses: map[string]string{}, book: ledger.New()}
	defer func() {
		err = errors.Join(err, r.keepLog(o.logs), r.server.Remove())
	}()
	if f.log != "" {
		log, err := os.OpenFile(f.log, os.O_WRONLY, 0)
		if err != nil {
			return res, err
		}
		defer log.Close()
		server.Cmd.Stderr = log
	}
	if err := server.Start(ctx); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.server.Stop()) }()
	if err := r.start(ctx); err != nil {
		return res, err
	}
	defer r.fleet.Stop()
	noise := startNoise()
	began := time.Now()
	r.until = began.Add(o.duration)
	failed := r.repeat(ctx)
	res = result{Fault: f.name, Seed: o.seed, Repeats: r.repeats, Seconds: time.Since(began).Seconds(), Noise: noise.stop()}
	if failed != nil {
		res.Unmet = append(res.Unmet, failed.Error())
	}
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	r.settle(ctx, &res)
	r.fleet.Stop()
	more := r.grown(ctx)
	res.Grown, res.Goroutines = more.descriptors, more.goroutines
	res.Leftovers = r.stop()
	res.judge(f, o.strict)
	return res, nil
}

func (r *run) start(ctx context.Context) error {
	st, err := r.server.Status()
	if err != nil {
		return err
	}
	for _, s := range st.Services {
		r.addresses[s.Name] = s.Address
	}
	r.before = footprint{descriptors(r.server.PID()), st.Goroutines}
	t := r.fault.traffic
	if t.ids == 0 {
		t.ids = 0.5
	}
	r.drops.see(st)
	if r.fleet, err = load.Start(ctx, r.fleetConfig(t), echoID); err != nil {
		return fmt.Errorf("%w\n%s", err, r.server.Stderr)
	}
	return nil
}

// repeat does the fault until time is up or it fails, with pauses.
func (r *run) repeat(ctx context.Context) error {
	for r.pause(ctx, 100*time.Millisecond, 300*time.Millisecond); time.Now().Before(r.until) && ctx.Err() == nil; {
		if err := r.fault.do(ctx, r); err != nil {
			return err
		}
		r.repeats++
		if r.fault.once {
			break
		}
		r.pause(ctx, 50*time.Millisecond, 400*time.Millisecond)
	}
	return ctx.Err()
}

// pause waits for a random time.
func (r *run) pause(ctx context.Context, least, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(least + time.Duration(r.random.Int64N(int64(most-least)+1))):
	}
}

// settle stops the load, waits until nothing is under way, and closes the books.
func (r *run) settle(ctx context.Context, res *result) {
	err := r.await(ctx, "every process is ready and every client is back", func(st manager.Status) bool {
		return st.State == "ready" && ready(st) && r.fleet.Everybody()
	})
	if err != nil {
		res.Unmet = append(res.Unmet, err.Error())
	}
	r.fleet.Pause()
	last, changed := ledger.Totals{}, time.Now()
	for deadline := time.Now().Add(settling); time.Now().Before(deadline); pollAgain() {
		if st, err := r.server.Status(); err == nil {
			r.drops.see(st)
		}
		t := r.book.Close(r.drops.sum())
		if t.Counts() != last.Counts() {
			last, changed = t, time.Now()
		}
		if open := t.Lost + t.WithConnection + t.WithProcess + t.WithManager; t.Unanswered == 0 && (open == 0 || time.Since(changed) > quiet) {
			break
		}
	}
	res.Totals = r.book.Close(r.drops.sum())
	res.Losses = r.fleet.Losses()
	res.Drops = r.drops.byCode()
	res.Excess = max(0, r.drops.sum().All-res.Counted-res.Reported)
	res.Median = r.fleet.Median()
	res.Stall = stall(r.fleet.Waits(), r.down)
	slices.Sort(r.replaced)
	if n := len(r.replaced); n > 0 {
		res.Replaced, res.ReplacedWorst = r.replaced[n/2], r.replaced[n-1]
	}
}

// footprint is what the manager has open.
type footprint struct{ descriptors, goroutines int }

// grown is how much more the manager has than before the load, once it has had time to
// end it.
func (r *run) grown(ctx context.Context) (more footprint) {
	for deadline := time.Now().Add(quiet); time.Now().Before(deadline) && ctx.Err() == nil; pollAgain() {
		st, err := r.server.Status()
		if err != nil {
			continue
		}
		more = footprint{descriptors(r.server.PID()) - r.before.descriptors, st.Goroutines - r.before.goroutines}
		if more.descriptors <= 0 && more.goroutines <= spareGoroutines {
			break
		}
	}
	return more
}

func descriptors(pid int) int {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(open)
}

// ready reports whether all processes are.
func ready(st manager.Status) bool {
	for _, s := range st.Services {
		if s.State != "ready" {
			return false
		}
	}
	return true
}

// await polls the status until ok, for at most the time that recovery may take.
func (r *run) await(ctx context.Context, what string, ok func(manager.Status) bool) error {
	for deadline := time.Now().Add(recovery); time.Now().Before(deadline) && ctx.Err() == nil; pollAgain() {
		if st, err := r.server.Status(); err == nil {
			r.drops.see(st)
			if ok(st) {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: not within %s", what, recovery)
}

// pollAgain spaces the questions to the server.
func pollAgain() { time.Sleep(3 * time.Millisecond) }

// stop ends the server and returns what it left behind.
func (r *run) stop() (left []string) {
	if err := r.server.Stop(); err != nil {
		left = append(left, err.Error())
	}
	for _, pid := range testserver.Running(r.binDir) {
		left = append(left, fmt.Sprintf("process %d", pid))
	}
	files, err := os.ReadDir(r.server.RuntimeDir())
	if err == nil {
		for _, f := range files {
			left = append(left, f.Name())
		}
	}
	if code := r.server.Cmd.ProcessState.ExitCode(); code != 0 {
		left = append(left, fmt.Sprintf("exit code %d", code))
	}
	return left
}

func (r *run) keepLog(dir string) error {
	if dir == "" {
		return nil
	}
	logs := append(r.logs, r.server.Stderr.String())
	return os.WriteFile(filepath.Join(dir, r.fault.name+".log"), []byte(strings.Join(logs, "\n")), 0o644)
}
