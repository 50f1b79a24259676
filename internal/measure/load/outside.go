package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
)

// outsideName is under which the running program is executed again to have clients.
const outsideName = "antano-bench-clients"

// perOutside is how many clients one such process has, fewer than the usual limit of
// descriptors allows.
const perOutside = 15_000

// Outside is many idle clients in processes of their own, for the limit of descriptors of
// one. Close ends them.
type Outside struct {
	running []*exec.Cmd
	inputs  []io.Closer
}

// GatherOutside is like Gather, with processes that execute the running program, which
// must call ServeOutside first of all. They end with it.
func GatherOutside(ctx context.Context, n int, t Target) (*Outside, error) {
	o := &Outside{}
	for from := 0; from < n; from += perOutside {
		if err := o.add(ctx, min(perOutside, n-from), t); err != nil {
			o.Close()
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
	return o, nil
}

// add starts a process and waits until its clients are connected.
func (o *Outside) add(ctx context.Context, n int, t Target) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self)
	// Each comes from an address of its own, so that there are ports enough.
	cmd.Args = []string{outsideName, t.Network, t.Address, strconv.Itoa(n), strconv.Itoa(len(o.running) * perAddress)}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	o.running, o.inputs = append(o.running, cmd), append(o.inputs, in)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "connected\n" {
		return fmt.Errorf("the process with %d clients ended: %w", n, err)
	}
	return nil
}

// Close ends the clients.
func (o *Outside) Close() {
	for i, cmd := range o.running {
		o.inputs[i].Close()
		_ = cmd.Wait()
	}
}

// ServeOutside reports whether this process was started by GatherOutside, and then has
// had the clients until that ended or was closed.
func ServeOutside() bool {
	if filepath.Base(os.Args[0]) != outsideName {
		return false
	}
	if err := serveOutside(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, outsideName+":", err)
		os.Exit(1)
	}
	return true
}

// serveOutside connects clients to args: network, address, how many, the first one's
// number.
func serveOutside(args []string) error {
	if len(args) != 4 {
		return errors.New("this is a part of antano bench")
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	first, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	stdin := make(chan struct{})
	go func() { // its end is that of who started us
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		close(stdin)
	}()
	c, err := gather(ctx, first, n, Target{Network: args[0], Address: args[1]})
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("connected")
	<-stdin
	return nil
}
