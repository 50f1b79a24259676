package work

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/outage"
	"github.com/antano/antano/internal/measure/server"
)

// start measures how long a server takes to be ready.
func (b *bench) start(ctx context.Context, processes int) error {
	s, err := b.serve(ctx, crowded(processes))
	if err != nil {
		return err
	}
	defer s.Close()
	b.add("start", fmt.Sprintf("%d processes", processes), "ms", milliseconds(s.Took))
	return s.Stop()
}

// kill measures how long a service is away when its only process is killed.
func (b *bench) kill(ctx context.Context, kills int) error {
	s, err := b.serve(ctx, crowded(1))
	if err != nil {
		return err
	}
	defer s.Close()
	for range kills {
		took, err := outage.Kill(ctx, s, "tcp")
		if err != nil {
			return err
		}
		b.add("kill", "SIGKILL to answer", "ms", milliseconds(took))
	}
	return nil
}

// restart replaces every process of a service while clients ask it. The time has the two
// seconds in it that each new process must last before the next one is replaced.
func (b *bench) restart(ctx context.Context, processes int) error {
	return b.withTargets(ctx, crowded(processes), []string{"tcp"}, func(s *server.Server, targets []load.Target) error {
		asking, cancel := context.WithCancel(ctx)
		defer cancel()
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		var waits load.Result
		var broken error
		running.Go(func() { waits, broken = load.Watch(asking, targets[0], 2*processes, 2*time.Millisecond) })
		began := time.Now()
		_, stderr, code, err := s.Antano(ctx, "restart", "tcp")
		took := time.Since(began)
		if err != nil || code != 0 {
			return errors.Join(err, fmt.Errorf("antano restart tcp: exit code %d\n%s", code, stderr))
		}
		cancel()
		running.Wait()
		if broken != nil {
			return fmt.Errorf("a client did not survive the restart: %w", broken)
		}
		b.add("restart", fmt.Sprintf("%d processes", processes), "s", took.Seconds())
		b.add("restart", fmt.Sprintf("%d processes, answers to clients, p50", processes), "ms", milliseconds(waits.P50))
		b.add("restart", fmt.Sprintf("%d processes, answers to clients, longest", processes), "ms", milliseconds(waits.Longest))
		return nil
	})
}

// In durations: over how long processor time of an idle server is measured, and how long
// after it has started.
const (
	idleTime   = 10
	settleTime = 2
)

// memory measures a server that has nothing to do.
func (b *bench) memory(ctx context.Context, processes int) error {
	return b.withTargets(ctx, crowded(processes), nil, func(s *server.Server, _ []load.Target) error {
		if err := wait(ctx, settleTime*b.Duration); err != nil {
			return err
		}
		svc, err := s.Service("tcp")
		if err != nil {
			return err
		}
		manager, err := server.PSS(s.PID())
		if err != nil {
			return err
		}
		var sizes []float64
		for _, p := range svc.Processes {
			pss, err := server.PSS(p.PID)
			if err != nil {
				return err
			}
			sizes = append(sizes, float64(pss)/1e6)
		}
		b.add("memory", "manager", "MB", float64(manager)/1e6)
		b.add("memory", fmt.Sprintf("each of %d processes", processes), "MB", slices.Max(sizes))
		before, err := processor(s)
		if err != nil {
			return err
		}
		length := max(time.Second, idleTime*b.Duration)
		if err := wait(ctx, length); err != nil {
			return err
		}
		after, err := processor(s)
		if err != nil {
			return err
		}
		b.add("memory", "processor when idle, whole server", "% of a core", 100*(after-before).Seconds()/length.Seconds())
		return nil
	})
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// flooders is how many clients write to the one that does not read.
const flooders = 4

// overload measures clients that have nothing to do with a client that is flooded, at
// the same services and in the same processes.
func (b *bench) overload(ctx context.Context, size int) error {
	return b.withTargets(ctx, transports, []string{"tcp", "unix"}, func(_ *server.Server, targets []load.Target) error {
		calm := load.Stream{Size: size, Length: b.Duration}
		before, err := calm.Latency(ctx, targets[0], targets[1])
		if err != nil {
			return err
		}
		flooding, cancel := context.WithCancel(ctx)
		defer cancel()
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		begun := make(chan struct{})
		var failed error
		running.Go(func() { failed = load.Flood(flooding, targets[0], targets[1], flooders, size, func() { close(begun) }) })
		<-begun
		during, err := calm.Latency(ctx, targets[0], targets[1])
		cancel()
		running.Wait()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		for _, f := range []struct {
			when string
			r    load.Result
		}{{"before", before}, {"during", during}} {
			b.add("overload", f.when+", p50", "µs", microseconds(f.r.P50))
			b.add("overload", f.when+", p99", "µs", microseconds(f.r.P99))
		}
		return nil
	})
}
