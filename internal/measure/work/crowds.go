package work

import (
	"context"
	"fmt"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/server"
)

// crowded is params with one service for many connections.
func crowded(processes int) string {
	return fmt.Sprintf(`
active_service: [{id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: %d}]
restart: {limit: 0, delay: 1ms, max_delay: 1ms}
`, processes)
}

// perProcess is how many idle connections one process gets.
const perProcess = 10_000

// fanOutWindow is how many messages to a group are under way.
const fanOutWindow = 4

// fanOut measures one message to many.
func (b *bench) fanOut(ctx context.Context, members int) error {
	if err := roomFor(members); err != nil {
		return err
	}
	return b.withTargets(ctx, crowded(max(2, members/perProcess)), []string{"tcp"}, func(s *server.Server, targets []load.Target) error {
		crowd, err := load.Gather(ctx, members, targets...)
		if err != nil {
			return err
		}
		defer crowd.Close()
		if err := crowd.Join(ctx, 1, members); err != nil {
			return err
		}
		r, cpu, err := during(s, func() (load.Result, error) {
			return crowd.FanOut(ctx, targets[0], 128, fanOutWindow, b.Duration)
		})
		if err != nil {
			return err
		}
		b.add("fanout", fmt.Sprintf("%d members", members), "deliveries/s", r.PerSecond)
		b.add("fanout", fmt.Sprintf("%d members, server time", members), "µs/delivery", cpu)
		return nil
	})
}

// idle measures what connections cost that do nothing. The kernel's memory for them is
// not in it.
func (b *bench) idle(ctx context.Context, connections int) error {
	if err := roomFor(perProcess * 3 / 2); err != nil {
		return err
	}
	return b.withTargets(ctx, crowded(max(2, connections/perProcess)), []string{"tcp"}, func(s *server.Server, targets []load.Target) error {
		before, err := memoryOf(s, "tcp")
		if err != nil {
			return err
		}
		managerBefore, err := server.PSS(s.PID())
		if err != nil {
			return err
		}
		crowd, err := load.GatherOutside(ctx, connections, targets[0])
		if err != nil {
			return err
		}
		defer crowd.Close()
		after, err := memoryOf(s, "tcp")
		if err != nil {
			return err
		}
		managerAfter, err := server.PSS(s.PID())
		if err != nil {
			return err
		}
		b.add("idle", fmt.Sprintf("%d connections, processes", connections), "bytes each", float64(after-before)/float64(connections))
		b.add("idle", fmt.Sprintf("%d connections, manager", connections), "bytes each", float64(managerAfter-managerBefore)/float64(connections))
		return nil
	})
}

// groups measures what groups cost with one member each, in the process of the member
// and in the manager, and messages to one of them after the other.
func (b *bench) groups(ctx context.Context, groups int) error {
	return b.withTargets(ctx, crowded(2), []string{"tcp"}, func(s *server.Server, targets []load.Target) error {
		before, err := memoryOf(s, "tcp")
		if err != nil {
			return err
		}
		managerBefore, err := server.PSS(s.PID())
		if err != nil {
			return err
		}
		members, err := load.JoinMany(ctx, targets[0], groups)
		if err != nil {
			return err
		}
		defer members.Close()
		after, err := memoryOf(s, "tcp")
		if err != nil {
			return err
		}
		managerAfter, err := server.PSS(s.PID())
		if err != nil {
			return err
		}
		b.add("groups", fmt.Sprintf("%d groups, processes", groups), "bytes each", float64(after-before)/float64(groups))
		b.add("groups", fmt.Sprintf("%d groups, manager", groups), "bytes each", float64(managerAfter-managerBefore)/float64(groups))
		managerCPU, err := server.CPU(s.PID())
		if err != nil {
			return err
		}
		l := load.Stream{Size: 128, Window: streamWindow, Length: b.Duration}
		r, err := members.Lookup(ctx, targets[0], l, uint64(groups))
		if err != nil {
			return err
		}
		now, err := server.CPU(s.PID())
		if err != nil {
			return err
		}
		b.add("groups", fmt.Sprintf("%d groups, at random", groups), "messages/s", r.PerSecond)
		b.add("groups", fmt.Sprintf("%d groups, manager time", groups), "µs/message", microseconds(now-managerCPU)/float64(max(1, r.Count)))
		return nil
	})
}
