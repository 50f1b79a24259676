// Package tornado is the peer that ping is compared with in another language: an echo
// of lines with Tornado, from Debian.
package tornado

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strings"

	"github.com/antano/antano/bench/internal/program"
)

//go:embed echo.py
var script string

// python is Debian's, which has Debian's packages.
const python = "/usr/bin/python3"

// Server is a running echo.
type Server struct {
	*program.Program
	TCP     string // address
	Version string
}

// Start runs the echo in as many processes as asked, on a loopback port.
func Start(ctx context.Context, processes int) (*Server, error) {
	version, err := exec.CommandContext(ctx, python, "-c", "import tornado; print(tornado.version)").Output()
	if err != nil {
		return nil, program.Missing("python3-tornado")
	}
	port, err := program.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{TCP: fmt.Sprintf("127.0.0.1:%d", port), Version: strings.TrimSpace(string(version))}
	cmd := exec.Command(python, "-c", script, fmt.Sprint(port), fmt.Sprint(processes))
	if s.Program, err = program.Start(ctx, cmd); err != nil {
		return nil, err
	}
	if err := s.Wait(ctx, "tcp", s.TCP); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
