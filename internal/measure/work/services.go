package work

import (
	"context"
	"fmt"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/server"
)

// transports is params with each transport, in two processes where it can have them.
const transports = `
active_service:
  - {id: 1, service_type: udp, name: udp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 2, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: 2}
  - {id: 3, service_type: unix, name: unix, socket_type: stream, endpoint: RUNTIME/s, processes: 2}
`

// target is where the clients of a service connect.
func target(s *server.Server, name string) (load.Target, error) {
	svc, err := s.Service(name)
	if err != nil {
		return load.Target{}, err
	}
	return load.Target{Network: svc.Type, Address: svc.Address}, nil
}

// withTargets runs a server and calls do with the targets of some of its services.
func (b *bench) withTargets(ctx context.Context, params string, names []string, do func(*server.Server, []load.Target) error) error {
	s, err := b.serve(ctx, params)
	if err != nil {
		return err
	}
	defer s.Close()
	var targets []load.Target
	for _, name := range names {
		t, err := target(s, name)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	return do(s, targets)
}

// depths are how many requests a connection has in flight.
var depths = []int{1, 16}

// ping measures what a process answers by itself.
func (b *bench) ping(ctx context.Context, connections int) error {
	if err := roomFor(connections); err != nil {
		return err
	}
	names := []string{"tcp", "unix", "udp"}
	return b.withTargets(ctx, transports, names, func(_ *server.Server, targets []load.Target) error {
		for i, t := range targets {
			for _, depth := range depths {
				r, err := load.Ping{Connections: connections, Depth: depth, Length: b.Duration}.Run(ctx, t)
				if err != nil {
					return err
				}
				figure := fmt.Sprintf("%s, %d x %d", names[i], connections, depth)
				b.add("ping", figure, "/s", r.PerSecond)
				b.add("ping", figure+", p50", "µs", microseconds(r.P50))
				b.add("ping", figure+", p99", "µs", microseconds(r.P99))
				if r.Lost > 0 {
					b.add("ping", figure+", lost", "datagrams", float64(r.Lost))
				}
			}
		}
		return nil
	})
}

// Windows of messages under way: enough to keep every process busy, and for datagrams
// few enough that a socket buffer of the usual size holds them.
const (
	streamWindow   = 4096
	datagramWindow = 128
)

// deliver measures messages that go from client to client.
func (b *bench) deliver(ctx context.Context, size int) error {
	names := []string{"tcp", "udp", "unix"}
	return b.withTargets(ctx, transports, names, func(s *server.Server, targets []load.Target) error {
		tcp, udp, unix := targets[0], targets[1], targets[2]
		for _, route := range []struct {
			name     string
			from, to load.Target
		}{{"tcp to tcp", tcp, tcp}, {"udp to tcp", udp, tcp}, {"unix to udp", unix, udp}} {
			for _, receipts := range []bool{false, true} {
				figure := fmt.Sprintf("%s, %d bytes", route.name, size)
				if receipts {
					figure += ", receipts"
				}
				if err := b.route(ctx, s, figure, size, receipts, route.from, route.to); err != nil {
					return fmt.Errorf("%s: %w", figure, err)
				}
			}
		}
		return nil
	})
}

// route measures one way from client to client: first many messages, then one at a time.
func (b *bench) route(ctx context.Context, s *server.Server, figure string, size int, receipts bool, from, to load.Target) error {
	l := load.Stream{Size: size, Window: streamWindow, Receipts: receipts, Length: b.Duration}
	if from.Datagrams() || to.Datagrams() {
		l.Window = datagramWindow
	}
	r, cpu, err := during(s, func() (load.Result, error) { return l.Run(ctx, from, to) })
	if err != nil {
		return err
	}
	b.add("deliver", figure, "messages/s", r.PerSecond)
	b.add("deliver", figure+", server time", "µs/message", cpu)
	if r.Lost > 0 {
		b.add("deliver", figure+", lost", "datagrams", float64(r.Lost))
	}
	if r, err = l.Latency(ctx, from, to); err != nil {
		return err
	}
	b.add("deliver", figure+", p50", "µs", microseconds(r.P50))
	b.add("deliver", figure+", p99", "µs", microseconds(r.P99))
	return nil
}

// converting is params whose services read and write different formats.
const converting = `
active_service:
  - {id: 1, service_type: tcp, name: json, host: 127.0.0.1, port: 0, processes: 1}
  - {id: 2, service_type: tcp, name: json-msgpack, host: 127.0.0.1, port: 0, processes: 1, message_format_out: msgpack}
  - {id: 3, service_type: tcp, name: msgpack-json, host: 127.0.0.1, port: 0, processes: 1, message_format_in: msgpack}
  - {id: 4, service_type: tcp, name: other, host: 127.0.0.1, port: 0, processes: 1}
`

// convert measures messages between clients of different formats, beside clients of one.
func (b *bench) convert(ctx context.Context, size int) error {
	return b.withTargets(ctx, converting, []string{"json", "json-msgpack", "msgpack-json", "other"}, func(s *server.Server, targets []load.Target) error {
		json, out, in, other := targets[0], targets[1], targets[2], targets[3]
		out.PackedOut, in.PackedIn = true, true
		for _, route := range []struct {
			name     string
			from, to load.Target
		}{{"json to json", json, other}, {"json to msgpack", json, out}, {"msgpack to json", in, json}} {
			l := load.Stream{Size: size, Window: streamWindow, Length: b.Duration}
			r, cpu, err := during(s, func() (load.Result, error) { return l.Run(ctx, route.from, route.to) })
			if err != nil {
				return fmt.Errorf("%s: %w", route.name, err)
			}
			figure := fmt.Sprintf("%s, %d bytes", route.name, size)
			b.add("convert", figure, "messages/s", r.PerSecond)
			b.add("convert", figure+", server time", "µs/message", cpu)
		}
		return nil
	})
}
