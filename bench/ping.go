package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/antano/antano/bench/internal/tornado"
	"github.com/antano/antano/internal/measure/load"
)

const (
	plainName   = "plain Go echo"
	tornadoName = "Tornado"
	pingLine    = `{"type":"ping"}` // and as long an answer
)

// echoed is one server that answers each request.
type echoed struct {
	name   string
	target load.Target
}

// ping compares `ping` on each transport with an echo of the same bytes by a plain Go
// server, and on TCP by one of Tornado in as many processes.
func (b *bench) ping(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ab")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := b.serve(ctx, services)
	if err != nil {
		return err
	}
	defer s.Close()
	var all []echoed
	for _, network := range []string{"tcp", "unix", "udp"} {
		svc, err := at(s, network)
		if err != nil {
			return err
		}
		address := map[string]string{"unix": filepath.Join(dir, "echo.sock")}[network]
		if address == "" {
			address = "127.0.0.1:0"
		}
		c, address, err := startServer(ctx, role{Name: "echo", Network: network, Address: address})
		if err != nil {
			return err
		}
		defer c.Close()
		all = append(all, echoed{antanoName, load.Target{Network: network, Address: svc.address}},
			echoed{plainName, load.Target{Network: network, Address: address}})
	}
	python, err := tornado.Start(ctx, 2)
	if err := b.absent("Tornado", err); err != nil {
		return err
	}
	if err == nil {
		defer python.Close()
		b.run.Peers["Tornado"] = "Tornado " + python.Version
		all = append(all, echoed{tornadoName, load.Target{Network: "tcp", Address: python.TCP}})
	}
	return b.pingAll(ctx, all)
}

func (b *bench) pingAll(ctx context.Context, all []echoed) error {
	for range b.rounds {
		for _, depth := range []int{1, 16} {
			for _, n := range b.size.connections {
				for _, e := range all {
					p := load.Ping{Connections: n, Depth: depth, Length: b.size.length}
					if e.name != antanoName {
						p.Request, p.Answer = pingLine, pingLine
					}
					got, err := p.Run(ctx, e.target)
					if err != nil {
						return fmt.Errorf("%s on %s, %d connections × %d: %w", e.name, e.target.Network, n, depth, err)
					}
					b.add(pingWork(e.target.Network, n, depth), e.name, "/s", got.PerSecond)
				}
			}
		}
	}
	for _, w := range b.run.Table.Works("ping") {
		b.run.Table.CompareAll(w, antanoName)
	}
	return nil
}

func pingWork(network string, connections, depth int) string {
	return fmt.Sprintf("ping on %s, %d × %d", network, connections, depth)
}
