package launch

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/antano/antano/manager/internal/event"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/pluginpb"
)

// What Process.Start sends and Process.Clients returns, under names that the manager
// can use without knowing how they travel.
type (
	Request = control.Start
	Client  = control.Client
)

// Process is a plugin that was launched. The remote calls give up when their
// context ends, when the process exits, or after a minute where the context has no
// deadline; their errors are ErrExited, ErrTimeout, ErrRefused or the context's.
type Process struct {
	run    *run
	client *plugin.Client
	rpc    pluginpb.PluginClient
	conns  conns

	closing sync.Once
	closed  error
}

// PID is also the number of the process group.
func (p *Process) PID() int { return p.run.child.pid }

// UID is the user that the process runs as.
func (p *Process) UID() int { return p.run.uid }

// StartedAt is the moment before the fork.
func (p *Process) StartedAt() time.Time { return p.run.child.started }

// StartTime is when the kernel says the process started, in ticks since the boot: it
// tells the process from a later one with its pid.
func (p *Process) StartTime() uint64 { return p.run.child.startTime }

// Socket is the path of the control plane; empty until the plugin has said it.
func (p *Process) Socket() string { return p.run.socket() }

// Done is closed when the process has exited, is reaped, and what it printed has
// been read as far as it is to be had within 0.4 s.
func (p *Process) Done() <-chan struct{} { return p.run.life.Done() }

// Exit tells how the process ended; the zero Exit before Done. The last lines of
// stderr are for the caller to fill in, who has read them.
func (p *Process) Exit() event.Exit {
	if p.run.life.Err() == nil {
		return event.Exit{}
	}
	return p.run.child.exit
}

// Signal sends sig to the process, SignalGroup to what it started too. ErrExited
// when it is gone: a pid that somebody else has by now is never signalled.
func (p *Process) Signal(sig syscall.Signal) error { return p.run.child.signal(sig, false) }

// SignalGroup sends sig to the process group.
func (p *Process) SignalGroup(sig syscall.Signal) error { return p.run.child.signal(sig, true) }

// Kill sends SIGKILL to the process group and does not wait. A stopped process dies
// of it too.
func (p *Process) Kill() { p.run.child.kill() }

// Describe asks the plugin what it is. The answer is valid.
func (p *Process) Describe(ctx context.Context) (shared.Description, error) {
	var d shared.Description
	err := p.call(ctx, "describe", func(ctx context.Context) error {
		answer, err := p.rpc.Describe(ctx, &pluginpb.DescribeRequest{})
		if err == nil {
			d, err = invalid(control.ToDescription(answer))
		}
		return err
	})
	return d, err
}

// Start opens the service for clients and returns once the plugin says it serves.
func (p *Process) Start(ctx context.Context, s Request) error {
	request, err := control.FromStart(s)
	if err != nil {
		return err
	}
	return p.call(ctx, "start", func(ctx context.Context) error {
		_, err := p.rpc.Start(ctx, request)
		return err
	})
}

// Drain has the plugin take no new clients and finish what it owes within deadline.
// It returns how many clients' output was cut short. ctx should last longer than
// deadline.
func (p *Process) Drain(ctx context.Context, deadline time.Duration) (unfinished int, err error) {
	err = p.call(ctx, "drain", func(ctx context.Context) error {
		answer, err := p.rpc.Drain(ctx, control.FromDrain(deadline))
		unfinished = int(answer.GetUnfinished())
		return err
	})
	return unfinished, err
}

// Stop has the plugin close everything; it exits by itself afterwards, see Done. A
// plugin that exits before its answer is read has stopped too. Nothing can be called
// after a Stop that was answered.
func (p *Process) Stop(ctx context.Context) error {
	err := p.call(ctx, "stop", func(ctx context.Context) error {
		_, err := p.rpc.Stop(ctx, &pluginpb.StopRequest{})
		return err
	})
	if errors.Is(err, ErrExited) && p.Exit().Code == 0 {
		return nil
	}
	if err == nil {
		p.conns.close() // a server that stops gracefully waits for its streams
	}
	return err
}

// Kick has the plugin end a client, and reports whether it was connected there.
func (p *Process) Kick(ctx context.Context, id shared.ClientID) (found bool, err error) {
	err = p.call(ctx, "kick a client of", func(ctx context.Context) error {
		answer, err := p.rpc.Kick(ctx, &pluginpb.KickRequest{ClientId: uint64(id)})
		found = answer.GetFound()
		return err
	})
	return found, err
}

// Clients calls f for every client of the process, in no order, from the calling
// goroutine. Rows that are not valid end it with an error.
func (p *Process) Clients(ctx context.Context, f func(Client)) error {
	return p.call(ctx, "list clients of", func(ctx context.Context) error {
		stream, err := p.rpc.Clients(ctx, &pluginpb.ClientsRequest{})
		if err != nil {
			return err
		}
		for {
			row, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			client, err := invalid(control.ToClient(row))
			if err != nil {
				return err
			}
			f(client)
		}
	})
}
