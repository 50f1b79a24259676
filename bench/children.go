package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/antano/antano/bench/internal/bare"
	"github.com/antano/antano/bench/internal/echo"
	"github.com/antano/antano/bench/internal/grpcstream"
	"github.com/antano/antano/bench/internal/mosquitto"
	"github.com/antano/antano/bench/internal/nats"
	"github.com/antano/antano/bench/internal/program"
	"github.com/antano/antano/bench/internal/redis"
	"github.com/antano/antano/internal/measure/peer"
)

// roleKey tells a child of this program what it is.
const roleKey = "ANTANO_BENCH_ROLE"

// role is what a child is told through its environment.
type role struct {
	Name    string    `json:"name"` // bare, lean, grpc, nats, echo; source, sink
	Kind    string    `json:"kind,omitempty"`
	Network string    `json:"network,omitempty"`
	Address string    `json:"address,omitempty"`
	Self    int       `json:"self,omitempty"` // number of a source or a sink
	To      int       `json:"to,omitempty"`
	Count   int       `json:"count,omitempty"` // of a relay's peers
	Work    peer.Work `json:"work,omitzero"`
}

// play runs a role; what it says goes to standard output line by line.
func play(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	switch r.Name {
	case "bare", "lean", "grpc":
		return r.relay()
	case "nats":
		return nats.Serve()
	case "echo":
		return echo.Serve(r.Network, r.Address, func(a net.Addr) { fmt.Println(a) })
	case "source":
		return r.peer(peer.Source)
	case "sink":
		return r.peer(peer.Sink)
	}
	return fmt.Errorf("unknown role %q", r.Name)
}

func (r role) relay() error {
	l, err := net.Listen("unix", r.Address)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	switch r.Name {
	case "lean":
		return bare.Lean(l)
	case "grpc":
		return grpcstream.Serve(l)
	}
	return bare.Relay(l, r.Count)
}

// peer connects, says so, works, and says the result.
func (r role) peer(work func(peer.Link, peer.Work) (peer.Result, error)) error {
	link, err := r.dial()
	if err != nil {
		return err
	}
	fmt.Println("connected")
	result, err := work(link, r.Work)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // the other end may still read: the harness ends us
	return nil
}

func (r role) dial() (peer.Link, error) {
	switch r.Kind {
	case "direct":
		if r.Name == "sink" {
			return bare.Listen(r.Address)
		}
		return bare.Connect(r.Address)
	case "bare", "lean":
		return bare.Dial(r.Address, byte(r.Self))
	case "grpc":
		return grpcstream.Dial(r.Address, r.Self)
	case "nats":
		return nats.Dial(r.Address, r.Self, r.To)
	case "redis":
		return redis.Dial(r.Network, r.Address, r.Self, r.To)
	case "mosquitto":
		return mosquitto.Dial(r.Address, r.Self, r.To)
	}
	return nil, fmt.Errorf("unknown kind of link %q", r.Kind)
}

// child is a running role.
type child struct {
	*program.Program
	in  io.Closer
	out *bufio.Reader
}

func startChild(ctx context.Context, r role) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleKey+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := program.Start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &child{p, in, bufio.NewReader(out)}, nil
}

// startServer starts a role that says where it listens.
func startServer(ctx context.Context, r role) (*child, string, error) {
	c, err := startChild(ctx, r)
	if err != nil {
		return nil, "", err
	}
	address, err := c.line()
	if err != nil {
		c.Close()
		return nil, "", fmt.Errorf("%s does not start: %w", r.Name, err)
	}
	return c, address, nil
}

// line is the next that the child says.
func (c *child) line() (string, error) {
	line, err := c.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *child) result() (r peer.Result, err error) {
	line, err := c.line()
	if err != nil {
		return r, fmt.Errorf("a child ended without a result: %w", err)
	}
	return r, json.Unmarshal([]byte(line), &r)
}

// Close ends the child.
func (c *child) Close() error {
	c.in.Close()
	return c.Program.Close()
}
