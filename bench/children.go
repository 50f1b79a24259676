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

	"github.com/antano/antano/bench/internal/bare"
	"github.com/antano/antano/internal/measure/peer"
)

// role is what a child is told through its environment.
type role struct {
	Name   string    `json:"name"` // bare, lean, source, sink, echo
	Socket string    `json:"socket,omitempty"`
	Work   peer.Work `json:"work,omitzero"`
}

// play runs a role; results go to standard output as one JSON line.
func play(text string) error {
	var r role
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return err
	}
	switch r.Name {
	case "bare", "lean":
		l, err := net.Listen("unix", r.Socket)
		if err != nil {
			return err
		}
		if r.Name == "lean" {
			return bare.Lean(l)
		}
		return bare.Relay(l)
	case "source", "sink":
		run, who := peer.Source, byte(0)
		if r.Name == "sink" {
			run, who = peer.Sink, 1
		}
		link, err := bare.Dial(r.Socket, who)
		if err != nil {
			return err
		}
		result, err := run(link, r.Work)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // the other end may still read: the harness ends us
		return link.Close()
	case "echo":
		return echo()
	}
	return fmt.Errorf("unknown role %q", r.Name)
}

// echo is the plain Go server that TCP ping is compared with: lines come back.
func echo() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			r, w := bufio.NewReader(c), bufio.NewWriter(c)
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if _, err := w.Write(line); err != nil {
					return
				}
				if r.Buffered() == 0 && w.Flush() != nil {
					return
				}
			}
		}()
	}
}

// child is a running role.
type child struct {
	cmd *exec.Cmd
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
	cmd := exec.CommandContext(ctx, self)
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
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd, in, bufio.NewReader(out)}, nil
}

func (c *child) line() ([]byte, error) { return c.out.ReadBytes('\n') }

func (c *child) result() (peer.Result, error) {
	line, err := c.line()
	if err != nil {
		return peer.Result{}, fmt.Errorf("child ended without a result: %w", err)
	}
	var r peer.Result
	return r, json.Unmarshal(line, &r)
}

func (c *child) stop() {
	c.in.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
