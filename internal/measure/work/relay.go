package work

import (
	"context"
	"fmt"

	"github.com/antano/antano/internal/measure/peer"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/server"
)

// Counts that take about a second on a machine of today; the relay is done when they are.
const (
	oneWayBytes    = 300e6
	oneWayMessages = 1e6
	roundTrips     = 10e3
)

// relay measures two processes of the same service.
func (b *bench) relay(ctx context.Context, size int) error {
	r, err := b.between(ctx, "oneway", size, 1)
	if err != nil {
		return err
	}
	b.add("relay", fmt.Sprintf("one way, %d bytes", size), "messages/s", r.PerSecond)
	if r, err = b.between(ctx, "roundtrip", size, 1); err != nil {
		return err
	}
	b.add("relay", fmt.Sprintf("round trip, %d bytes, p50", size), "µs", r.P50us)
	b.add("relay", fmt.Sprintf("round trip, %d bytes, p99", size), "µs", r.P99us)
	return nil
}

// pairs measures more processes, which all work at the same time.
func (b *bench) pairs(ctx context.Context, processes int) error {
	if processes < 2 || processes%2 != 0 {
		return fmt.Errorf("the processes are pairs, so their number must be even and at least 2")
	}
	r, err := b.between(ctx, "oneway", 128, processes/2)
	if err != nil {
		return err
	}
	b.add("pairs", fmt.Sprintf("one way, %d processes", processes), "messages/s", r.PerSecond)
	return nil
}

// between does one work between pairs of processes that are this very program.
func (b *bench) between(ctx context.Context, kind string, size, pairs int) (peer.Result, error) {
	seconds := b.Duration.Seconds()
	count := max(100, seconds*min(oneWayMessages, oneWayBytes/float64(size))/float64(pairs))
	if kind == "roundtrip" {
		count = max(100, seconds*roundTrips)
	}
	cfg := server.Config{Bin: b.Bin, Level: "error", PluginDirs: b.PluginDirs}
	return rawplugin.Run(ctx, cfg, peer.Work{Kind: kind, Count: int(count), Size: size}, pairs)
}
