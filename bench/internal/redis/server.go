// Package redis is the Redis peer: pub/sub of a server from Debian, and the few words
// of its protocol that clients need.
package redis

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/antano/antano/bench/internal/program"
)

// Server is a running redis-server.
type Server struct {
	*program.Program
	TCP  string // address
	Unix string // socket path
}

// Start runs a server that listens on a loopback port and in dir. It keeps nothing on
// disk, and disconnects no slow subscriber.
func Start(ctx context.Context, dir string) (*Server, error) {
	path, err := program.Find("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	port, err := program.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{TCP: fmt.Sprintf("127.0.0.1:%d", port), Unix: filepath.Join(dir, "redis.sock")}
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--unixsocket", s.Unix,
		"--save", "", "--appendonly", "no", "--dir", dir, "--maxclients", "100000",
		"--client-output-buffer-limit", "pubsub 0 0 0")
	if s.Program, err = program.Start(ctx, cmd); err != nil {
		return nil, err
	}
	if err := s.Wait(ctx, "tcp", s.TCP); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
