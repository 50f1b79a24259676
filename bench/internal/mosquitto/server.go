// Package mosquitto is the MQTT peer: QoS 0 of a broker from Debian, and the few
// packets of MQTT 3.1.1 that clients need.
package mosquitto

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/antano/antano/bench/internal/program"
)

// Server is a running mosquitto.
type Server struct {
	*program.Program
	TCP string // address
}

const config = `listener %d 127.0.0.1
allow_anonymous true
persistence false
log_dest none
set_tcp_nodelay true
max_connections -1
max_queued_messages 0
max_inflight_messages 0
`

// Start runs a broker on a loopback port with its files in dir. It drops nothing for a
// slow subscriber.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := program.Find("mosquitto", "mosquitto")
	if err != nil {
		return nil, err
	}
	port, err := program.FreePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, port), 0o644); err != nil {
		return nil, err
	}
	s := &Server{TCP: fmt.Sprintf("127.0.0.1:%d", port)}
	if s.Program, err = program.Start(ctx, exec.Command(path, "-c", file)); err != nil {
		return nil, err
	}
	if err := s.Wait(ctx, "tcp", s.TCP); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
