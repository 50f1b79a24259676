package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/antano/antano/chaos/internal/ledger"
	"github.com/antano/antano/chaos/internal/load"
	"github.com/antano/antano/manager"
)

// upgrade puts another antano binary in place and has the manager become it.
func upgrade(ctx context.Context, r *run) error {
	before, err := r.pids()
	if err != nil {
		return err
	}
	if err := rebuild(filepath.Join(r.binDir, "antano")); err != nil {
		return err
	}
	if err := r.antano(ctx, "upgrade"); err != nil {
		return err
	}
	return r.awaitSame(ctx, before)
}

// managerKill ends the manager with SIGKILL; a successor takes over what it left.
func managerKill(ctx context.Context, r *run) error {
	before, err := r.pids()
	if err != nil {
		return err
	}
	f := r.book.Happened(ledger.Fault{Cause: ledger.Manager, From: time.Now()})
	killed := time.Now()
	r.server.Kill()
	r.pause(ctx, 0, 500*time.Millisecond)
	r.logs = append(r.logs, r.server.Stderr.String())
	next := r.server.Successor()
	r.down = append(r.down, load.Span{From: killed, Until: time.Now()})
	r.server = next
	if err := next.Start(ctx); err != nil {
		return err
	}
	r.replaced = append(r.replaced, time.Since(r.down[len(r.down)-1].Until))
	r.book.Over(f, time.Now())
	return r.awaitSame(ctx, before)
}

// awaitSame waits until the server is ready with the processes that it had.
func (r *run) awaitSame(ctx context.Context, before string) error {
	after := ""
	err := r.await(ctx, "the server is ready again", func(st manager.Status) bool {
		after, _ = r.pids()
		return st.State == "ready" && ready(st)
	})
	if err == nil && after != before {
		err = fmt.Errorf("the processes have changed from %s to %s", before, after)
	}
	return err
}

// stall is the longest of these waits; while there was no manager nobody counts.
func stall(waits, down []load.Span) (most time.Duration) {
	for _, w := range waits {
		for _, d := range down {
			if w.From.Before(d.Until) && w.Until.After(d.From) {
				w.From = d.Until
			}
		}
		most = max(most, w.Length())
	}
	return most
}

// mixed does one of everything, in any order.
func mixed(ctx context.Context, r *run) error {
	among := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.once || f.alone })
	f := among[r.random.IntN(len(among))]
	if err := f.do(ctx, r); err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	return nil
}
