package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/bench/internal/system"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

func tcpService(processes int) map[string]any {
	return map[string]any{
		"active_service": []any{map[string]any{
			"id": 1, "service_type": "tcp", "name": "tcp", "host": "127.0.0.1", "port": 0, "processes": processes,
		}},
		// A process is restarted at once only the first time within 30 s, so the
		// delay of the others must not be what is measured.
		"restart": map[string]any{"limit": 0, "delay": "1ms", "max_delay": "1ms"},
	}
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
	s, err := system.Start(ctx, b.bin, tcpService(2))
	if err != nil {
		return err
	}
	defer s.Stop()
	address, err := s.Address(ctx, "tcp")
	if err != nil {
		return err
	}
	for range b.rounds {
		for _, depth := range []int{1, 16} {
			work := fmt.Sprintf("tcp ping, 64 connections x %d", depth)
			for name, to := range map[string]string{"plain go echo": echoAddress, "antano": address} {
				rate, err := pingRate(to, 64, depth, 2*time.Second)
				if err != nil {
					return err
				}
				b.table.Add(work, name, "/s", rate)
			}
		}
	}
	for _, depth := range []int{1, 16} {
		b.table.Compare(fmt.Sprintf("tcp ping, 64 connections x %d", depth), "antano", "plain go echo")
	}
	return nil
}

// pingRate keeps depth pings in flight on each connection and returns how many
// lines came back each second.
func pingRate(address string, connections, depth int, length time.Duration) (float64, error) {
	var wg sync.WaitGroup
	counts, errs := make([]int, connections), make([]error, connections)
	began := time.Now()
	for i := range connections {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.Close()
			burst, r := []byte(strings.Repeat(pingLine, depth)), bufio.NewReader(c)
			for time.Since(began) < length {
				if _, errs[i] = c.Write(burst); errs[i] != nil {
					return
				}
				for range depth {
					if _, errs[i] = r.ReadSlice('\n'); errs[i] != nil {
						return
					}
				}
				counts[i] += depth
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(began).Seconds(), errors.Join(errs...)
}

// restart compares a SIGKILLed process's replacement, up to the pong of a client
// that connected afterwards, with a bare go-plugin start and two RPCs.
func (b *bench) restart(ctx context.Context) error {
	s, err := system.Start(ctx, b.bin, tcpService(1))
	if err != nil {
		return err
	}
	defer s.Stop()
	address, err := s.Address(ctx, "tcp")
	if err != nil {
		return err
	}
	const work = "restart"
	for range max(30, b.rounds) {
		took, err := bareStart()
		if err != nil {
			return err
		}
		b.table.Add(work, "bare go-plugin start", "ms", took)
		if took, err = killToPong(ctx, s, address); err != nil {
			return err
		}
		b.table.Add(work, "antano SIGKILL to pong", "ms", took)
	}
	b.table.Compare(work, "antano SIGKILL to pong", "bare go-plugin start")
	return nil
}

func killToPong(ctx context.Context, s *system.Server, address string) (float64, error) {
	pid, err := readyPID(ctx, s)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	for time.Since(began) < 30*time.Second {
		if ok, err := pong(address); err != nil {
			return 0, err
		} else if ok {
			return float64(time.Since(began).Microseconds()) / 1e3, nil
		}
	}
	return 0, errors.New("no pong within 30 s of a SIGKILL")
}

// pong connects and pings once. A connection that the killed process took along is
// not an error.
func pong(address string) (bool, error) {
	c, err := system.Dial(address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return false, err
	}
	if _, err := c.Write([]byte(pingLine)); err != nil {
		return false, nil
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.Contains(line, "pong"), nil
}

// readyPID waits until the only process of the service has been ready for a moment
// and returns its pid.
func readyPID(ctx context.Context, s *system.Server) (int, error) {
	for range 1000 {
		st, err := s.Status(ctx)
		if err != nil {
			return 0, err
		}
		for _, svc := range st.Services {
			if svc.Name == "tcp" && svc.Processes[0].State == "ready" {
				return svc.Processes[0].PID, nil
			}
		}
	}
	return 0, errors.New("the process does not become ready")
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
		s, err := system.Start(ctx, b.bin, tcpService(10))
		if err != nil {
			return err
		}
		b.table.Add("start", "exec to ready, 10 processes", "ms", float64(s.StartReady.Microseconds())/1e3)
		if err := s.Stop(); err != nil {
			return err
		}
	}
	return nil
}

// memory reads the proportional set size of an idle server with two tcp processes.
func (b *bench) memory(ctx context.Context) error {
	for range b.rounds {
		s, err := system.Start(ctx, b.bin, tcpService(2))
		if err != nil {
			return err
		}
		err = b.readMemory(ctx, s)
		if err := errors.Join(err, s.Stop()); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) readMemory(ctx context.Context, s *system.Server) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	manager, err := system.PSS(s.PID())
	if err != nil {
		return err
	}
	b.table.Add("memory, idle", "manager PSS", "MB", float64(manager)/1e6)
	var sizes []float64
	for _, svc := range st.Services {
		for _, p := range svc.Processes {
			if svc.Name != "tcp" {
				continue
			}
			pss, err := system.PSS(p.PID)
			if err != nil {
				return err
			}
			sizes = append(sizes, float64(pss)/1e6)
		}
	}
	b.table.Add("memory, idle", "tcp process PSS", "MB", slices.Max(sizes))
	return nil
}
