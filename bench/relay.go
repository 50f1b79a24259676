package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/antano/antano/internal/measure/peer"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/server"
)

// middle is what stands between the peers: run does a work with pairs of peers.
type middle struct {
	name  string
	slow  int // how much fewer messages one way, to take as long as the others
	pairs bool
	run   func(ctx context.Context, w peer.Work, pairs int) (peer.Result, error)
}

func (b *bench) middles(ctx context.Context) ([]middle, error) {
	all := []middle{{"bare", 1, true, bareRelay("bare")}, {"lean", 1, false, bareRelay("lean")}, {directName, 1, false, direct}, {antanoName, 1, true, b.antanoRelay}}
	brokers, err := b.brokers(ctx)
	if err != nil {
		return nil, err
	}
	for _, br := range brokers {
		slow := map[string]int{natsName: 2, redisTCP: 2, redisUnix: 2, mosquittoName: 8}[br.name]
		all = append(all, middle{br.name, slow, br.name == natsName || br.name == redisUnix, br.relay})
	}
	return append(all, middle{"gRPC stream", 8, false, bareRelay("grpc")}), nil
}

// relay compares the manager's relay with those that do nothing but relay, and with
// those of the brokers: between two processes through a third, one way and there and
// back, at several sizes, and with more processes.
func (b *bench) relay(ctx context.Context) error {
	middles, err := b.middles(ctx)
	if err != nil {
		return err
	}
	for range b.rounds {
		for _, size := range b.size.relay {
			for _, m := range middles {
				if size != mainSize && !slices.Contains([]string{"bare", antanoName, natsName, redisUnix}, m.name) {
					continue
				}
				if err := b.oneWay(ctx, m, size, 1); err != nil {
					return err
				}
				if err := b.roundTrip(ctx, m, size); err != nil {
					return err
				}
			}
		}
		for _, pairs := range b.size.pairs {
			for _, m := range middles {
				if !m.pairs {
					continue
				}
				if err := b.oneWay(ctx, m, mainSize, pairs); err != nil {
					return err
				}
			}
		}
	}
	for _, w := range b.run.Table.Works("relay") {
		b.run.Table.CompareAll(w, antanoName)
	}
	return nil
}

// mainSize is that of the messages which everything is compared with.
const mainSize = 128

func (b *bench) oneWay(ctx context.Context, m middle, size, pairs int) error {
	count := max(100, min(b.size.messages, b.size.messages*mainSize/size)/m.slow/pairs)
	got, err := m.run(ctx, peer.Work{Kind: "oneway", Count: count, Size: size}, pairs)
	if err != nil {
		return fmt.Errorf("%s one way with %d bytes: %w", m.name, size, err)
	}
	work := fmt.Sprintf("relay one way, %s", bytesText(size))
	if pairs > 1 {
		work = fmt.Sprintf("relay one way, %s, %d processes", bytesText(size), 2*pairs)
	}
	b.run.Table.Add(work, m.name, "messages/s", got.PerSecond)
	if size == mainSize && pairs == 1 && m.name != directName {
		b.run.Table.Add("relay one way, CPU of the middle", m.name, "µs/message", got.CPUus)
	}
	return nil
}

func (b *bench) roundTrip(ctx context.Context, m middle, size int) error {
	count := b.size.trips
	if size != mainSize {
		count /= 4
	}
	got, err := m.run(ctx, peer.Work{Kind: "roundtrip", Count: max(50, count), Size: size}, 1)
	if err != nil {
		return fmt.Errorf("%s round trip with %d bytes: %w", m.name, size, err)
	}
	b.run.Table.Add(fmt.Sprintf("relay round trip, %s, p50", bytesText(size)), m.name, "µs", got.P50us)
	if size == mainSize {
		b.run.Table.Add(fmt.Sprintf("relay round trip, %s, p99", bytesText(size)), m.name, "µs", got.P99us)
	}
	return nil
}

func bytesText(n int) string {
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// directName is two processes on one socket, with nothing between them: what a relay could
// save.
const directName = "direct"

func direct(ctx context.Context, w peer.Work, pairs int) (peer.Result, error) {
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return peer.Result{}, err
	}
	defer os.RemoveAll(dir)
	return broker{kind: directName, network: "unix", address: filepath.Join(dir, "direct.sock"), pid: os.Getpid()}.relay(ctx, w, pairs)
}

// bareRelay starts a relay of that kind for each run.
func bareRelay(kind string) func(context.Context, peer.Work, int) (peer.Result, error) {
	return func(ctx context.Context, w peer.Work, pairs int) (peer.Result, error) {
		dir, err := os.MkdirTemp("", "ab")
		if err != nil {
			return peer.Result{}, err
		}
		defer os.RemoveAll(dir)
		c, address, err := startServer(ctx, role{Name: kind, Address: filepath.Join(dir, "relay.sock"), Count: 2 * pairs})
		if err != nil {
			return peer.Result{}, err
		}
		defer c.Close()
		return broker{kind: kind, network: "unix", address: address, pid: c.PID()}.relay(ctx, w, pairs)
	}
}

// relay runs pairs of children with the broker between them.
func (br broker) relay(ctx context.Context, w peer.Work, pairs int) (peer.Result, error) {
	var peers []*child
	defer func() {
		for _, c := range peers {
			c.Close()
		}
	}()
	before, err := server.CPU(br.pid)
	if err != nil {
		return peer.Result{}, err
	}
	for _, name := range []string{"sink", "source"} { // who receives is there first
		for i := range pairs {
			r := role{Name: name, Kind: br.kind, Network: br.network, Address: br.address, Self: 2*i + 1, To: 2 * i, Work: w}
			if name == "source" {
				r.Self, r.To = r.To, r.Self
			}
			c, err := startChild(ctx, r)
			if err != nil {
				return peer.Result{}, err
			}
			peers = append(peers, c)
			if line, err := c.line(); err != nil || line != "connected" {
				return peer.Result{}, fmt.Errorf("a %s does not connect: %q, %w", name, line, err)
			}
		}
	}
	var results []peer.Result
	for _, c := range peers {
		result, err := c.result()
		if err != nil {
			return peer.Result{}, err
		}
		results = append(results, result)
	}
	after, err := server.CPU(br.pid)
	return peer.Sum(w, results[pairs:], results[:pairs], after-before), err
}

// antanoRelay runs the same peers as processes of one service.
func (b *bench) antanoRelay(ctx context.Context, w peer.Work, pairs int) (peer.Result, error) {
	return rawplugin.Run(ctx, server.Config{Bin: b.bin, Level: "warn"}, w, pairs)
}
