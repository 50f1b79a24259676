package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/internal/measure/load"
	"github.com/antano/antano/internal/measure/outage"
	"github.com/antano/antano/internal/measure/rawplugin"
	"github.com/antano/antano/internal/measure/server"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// tcpService is params with one tcp service. A process is restarted at once only the
// first time within 30 s, so the delay of the others must not be what is measured.
func tcpService(processes int) string {
	return fmt.Sprintf(`
active_service: [{id: 1, service_type: tcp, name: tcp, host: 127.0.0.1, port: 0, processes: %d}]
restart: {limit: 0, delay: 1ms, max_delay: 1ms}
`, processes)
}

const pingLine = `{"type":"ping"}` + "\n"

// ping compares `ping` over TCP with an echo of the same bytes by a plain Go server.
func (b *bench) ping(ctx context.Context) error {
	plain, err := startChild(ctx, role{Name: "echo"})
	if err != nil {
		return err
	}
	defer plain.stop()
	line, err := plain.line()
	if err != nil {
		return err
	}
	echoAddress := strings.TrimSpace(string(line))
	s, address, err := b.startTCP(ctx, 2)
	if err != nil {
		return err
	}
	defer s.Close()
	for range b.rounds {
		for _, depth := range []int{1, 16} {
			work := fmt.Sprintf("tcp ping, 64 connections x %d", depth)
			p := load.Ping{Connections: 64, Depth: depth, Length: 2 * time.Second}
			got, err := p.Run(ctx, load.Target{Network: "tcp", Address: address})
			if err != nil {
				return err
			}
			b.table.Add(work, "antano", "/s", got.PerSecond)
			p.Request, p.Answer = strings.TrimSpace(pingLine), strings.TrimSpace(pingLine)
			if got, err = p.Run(ctx, load.Target{Network: "tcp", Address: echoAddress}); err != nil {
				return err
			}
			b.table.Add(work, "plain go echo", "/s", got.PerSecond)
		}
	}
	for _, depth := range []int{1, 16} {
		b.table.Compare(fmt.Sprintf("tcp ping, 64 connections x %d", depth), "antano", "plain go echo")
	}
	return nil
}

// restart compares a SIGKILLed process's replacement, up to the pong of a client
// that connected afterwards, with a bare go-plugin start and two RPCs.
func (b *bench) restart(ctx context.Context) error {
	s, err := b.serve(ctx, tcpService(1))
	if err != nil {
		return err
	}
	defer s.Close()
	const work = "restart"
	for range max(30, b.rounds) {
		took, err := bareStart()
		if err != nil {
			return err
		}
		b.table.Add(work, "bare go-plugin start", "ms", took)
		away, err := outage.Kill(ctx, s, "tcp")
		if err != nil {
			return err
		}
		b.table.Add(work, "antano SIGKILL to pong", "ms", float64(away.Microseconds())/1e3)
	}
	b.table.Compare(work, "antano SIGKILL to pong", "bare go-plugin start")
	return nil
}

// startTCP runs the tcp service and says where it listens.
func (b *bench) startTCP(ctx context.Context, processes int) (*server.Server, string, error) {
	s, err := b.serve(ctx, tcpService(processes))
	if err != nil {
		return nil, "", err
	}
	svc, err := s.Service("tcp")
	if err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return s, svc.Address, nil
}

// serve runs the built antano.
func (b *bench) serve(ctx context.Context, params string) (*server.Server, error) {
	return server.Run(ctx, server.Config{Bin: b.bin, Params: params, Level: "warn", Plugin: rawplugin.Name})
}

// bareStart starts this binary as a plugin through go-plugin as it comes, calls
// Describe twice and kills it.
func bareStart() (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  goplugin.HandshakeConfig{ProtocolVersion: shared.ProtocolVersion, MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{shared.ProtocolVersion: {"service": &clientPlugin{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Cmd:              exec.Command(self), Logger: hclog.NewNullLogger(),
	})
	defer client.Kill()
	rpc, err := client.Client()
	if err != nil {
		return 0, err
	}
	raw, err := rpc.Dispense("service")
	if err != nil {
		return 0, err
	}
	for range 2 {
		if _, err := raw.(pluginpb.PluginClient).Describe(context.Background(), &pluginpb.DescribeRequest{}); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began).Microseconds()) / 1e3, nil
}

type clientPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

func (*clientPlugin) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("host side only")
}

func (*clientPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(c), nil
}

// start measures from exec to the line `ready` with ten processes.
func (b *bench) start(ctx context.Context) error {
	for range max(10, b.rounds) {
		s, err := b.serve(ctx, tcpService(10))
		if err != nil {
			return err
		}
		b.table.Add("start", "exec to ready, 10 processes", "ms", float64(s.Took.Microseconds())/1e3)
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// memory reads the proportional set size of an idle server with two tcp processes.
func (b *bench) memory(ctx context.Context) error {
	for range b.rounds {
		s, err := b.serve(ctx, tcpService(2))
		if err != nil {
			return err
		}
		err = b.readMemory(s)
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) readMemory(s *server.Server) error {
	svc, err := s.Service("tcp")
	if err != nil {
		return err
	}
	manager, err := server.PSS(s.PID())
	if err != nil {
		return err
	}
	b.table.Add("memory, idle", "manager PSS", "MB", float64(manager)/1e6)
	var sizes []float64
	for _, p := range svc.Processes {
		pss, err := server.PSS(p.PID)
		if err != nil {
			return err
		}
		sizes = append(sizes, float64(pss)/1e6)
	}
	b.table.Add("memory, idle", "tcp process PSS", "MB", slices.Max(sizes))
	return nil
}
