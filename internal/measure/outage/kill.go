// Package outage measures for how long a service is away.
package outage

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/antano/antano/internal/measure/server"
)

// Kill ends the only process of a service with SIGKILL, once it is ready, and returns
// how long it takes until a client that connects then has a pong. Source of the network:
// the type of the service, tcp or unix.
func Kill(ctx context.Context, s *server.Server, service string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*server.Patience)
	defer cancel()
	for {
		svc, err := s.Service(service)
		if err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, fmt.Errorf("wait until %s is ready: %w", service, ctx.Err())
		}
		if p := svc.Processes[0]; p.State == "ready" {
			return kill(ctx, p.PID, svc.Type, svc.Address)
		}
	}
}

func kill(ctx context.Context, pid int, network, address string) (time.Duration, error) {
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	for ctx.Err() == nil {
		if ok, err := pong(ctx, network, address); err != nil {
			return 0, err
		} else if ok {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("no pong after a SIGKILL: %w", ctx.Err())
}

// pong connects and pings once. A connection that the killed process took along is not
// an error.
func pong(ctx context.Context, network, address string) (bool, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(server.Patience)); err != nil {
		return false, err
	}
	if _, err := c.Write([]byte("{\"type\":\"ping\"}\n")); err != nil {
		return false, nil
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.Contains(line, "pong"), nil
}
