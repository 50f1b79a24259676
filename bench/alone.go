package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/antano/antano/internal/measure/outage"
	"github.com/antano/antano/internal/measure/work"
)

// kill compares the replacement of a process after SIGKILL, up to the pong of a client
// that connected afterwards, with a bare go-plugin start of the same
// plugin and two calls.
func (b *bench) kill(ctx context.Context) error {
	s, err := b.serve(ctx, `
active_service: [{id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 1}]
restart: {limit: 0, delay: 1ms, max_delay: 1ms}
`) // the delays of a process that is killed often are not what is measured
	if err != nil {
		return err
	}
	defer s.Close()
	const work = "replacement"
	for range b.size.kills {
		bare, err := bareStart(ctx, filepath.Join(filepath.Dir(b.bin), "plugins", "antano-service-tcp"))
		if err != nil {
			return err
		}
		b.add(work, "bare go-plugin start", "ms", milliseconds(bare))
		away, err := outage.Kill(ctx, s, "tcp")
		if err != nil {
			return err
		}
		b.add(work, "SIGKILL to pong", "ms", milliseconds(away))
	}
	b.run.Table.Compare(work, "SIGKILL to pong", "bare go-plugin start")
	return s.Close()
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// alone measures what no peer does, as `antano bench` does.
func alone(names ...string) func(*bench, context.Context) error {
	return func(b *bench, ctx context.Context) error {
		chosen, err := work.Choose(names, false, nil)
		if err != nil {
			return err
		}
		for i, w := range chosen {
			if sizes := b.size.alone[w.Name]; sizes != nil {
				chosen[i].Sizes = sizes
			}
		}
		t, err := work.Run(ctx, work.Options{Bin: b.bin, Works: chosen, Rounds: b.rounds, Duration: b.size.length, Progress: func(int, int, string) {}})
		b.run.Table.Rows = append(b.run.Table.Rows, t.Rows...) // with an error, too: those that it has
		for _, s := range t.Skipped {
			b.run.Skipped = append(b.run.Skipped, fmt.Sprintf("%s %s: %s", s.Work, s.Size, s.Why))
		}
		return err
	}
}
