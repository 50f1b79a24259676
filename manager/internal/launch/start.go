package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

// pluginName is the key of the only plugin in the set. It never leaves the process.
const pluginName = "service"

// closeTimeout bounds Close, and what a failed Start cleans up.
const closeTimeout = 5 * time.Second

// Start launches the plugin and returns when its control plane can be called. It
// blocks until then, at most spec.StartTimeout; the end of ctx kills the process at
// once. The error is an *Error, and then nothing is left behind. Afterwards ctx has
// no influence.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if err := spec.check(); err != nil {
		return nil, &Error{Path: spec.Path, Err: err}
	}
	spec.Files = slices.Clone(spec.Files)
	ctx, cancel := context.WithTimeoutCause(ctx, spec.startTimeout(),
		fmt.Errorf("%w: it did not come up within %v", ErrTimeout, spec.startTimeout()))
	defer cancel()
	out, err := newOutput(&spec)
	if err != nil {
		return nil, &Error{Path: spec.Path, Err: err}
	}
	p := &Process{run: newRun(ctx, &spec, out)}
	if spec.Forked != nil {
		p.run.forked = func() { spec.Forked(p) }
	}
	p.client = plugin.NewClient(p.config())
	if err := p.connect(); err != nil {
		return nil, p.failed(ctx, err)
	}
	out.tail.stop()
	return p, nil
}

// config is used once: a go-plugin client cannot be started again.
func (p *Process) config() *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{shared.ProtocolVersion: {pluginName: grpcPlugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		RunnerFunc:       p.run.use,
		SkipHostEnv:      true,
		// The context of Start ends before it.
		StartTimeout: p.run.spec.startTimeout() + time.Second,
		Logger:       hclog.NewNullLogger(),
		SyncStdout:   &p.run.out.printedOut,
		SyncStderr:   &p.run.out.printedErr,
		// The runner has read what the plugin logs: for the library there is nothing.
		PluginLogBufferSize: 1,
		UnixSocketConfig:    &plugin.UnixSocketConfig{TempDir: p.run.spec.Dir},
		GRPCDialOptions:     p.run.dialOptions(&p.conns),
	}
}

// connect does the handshake and opens the control plane.
func (p *Process) connect() error {
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(pluginName)
	if err != nil {
		return err
	}
	p.rpc = raw.(pluginpb.PluginClient)
	if !p.run.disarm() && p.run.ctx.Err() != nil {
		return p.run.ctx.Err()
	}
	return nil
}

// failed cleans up after a start and says what went wrong in the words of the
// first thing that did.
func (p *Process) failed(ctx context.Context, err error) error {
	gaveUp := context.Cause(ctx)
	closing := p.Close()
	e := &Error{Path: p.run.spec.Path, Err: err}
	defer func() { e.Err = errors.Join(e.Err, closing) }()
	if p.run.child == nil {
		return e
	}
	if p.run.life.Err() != nil {
		exit := p.run.child.exit
		exit.Stderr = p.run.out.tail.lines()
		e.Exit = &exit
	}
	e.Err = p.explain(gaveUp, err)
	return e
}

// explain finds the cause in the order in which things happen.
func (p *Process) explain(gaveUp, err error) error {
	printed := p.run.out.tail.lines()
	said := ""
	if len(printed) > 0 {
		said = "; it said: " + strings.Join(printed, " | ")
	}
	var line error
	select {
	case line = <-p.run.out.verdict:
	default:
	}
	switch ended := p.run.life.Err() != nil && !p.run.child.endedByUs(); {
	case line != nil && !errors.Is(line, io.EOF):
		return fmt.Errorf("%w%s", line, said)
	case ended && line != nil:
		return fmt.Errorf("%w before the handshake: %s%s", ErrExited, p.run.child.exit.Cause, said)
	case ended:
		return fmt.Errorf("%w during the handshake: %s%s", ErrExited, p.run.child.exit.Cause, said)
	case gaveUp != nil:
		return fmt.Errorf("%w%s", gaveUp, said)
	case line != nil:
		return fmt.Errorf("%w: it closed stdout without a handshake%s", ErrHandshake, said)
	}
	return fmt.Errorf("%w%s", err, said)
}

// Close kills the process if it still runs, waits for it and releases everything:
// goroutines, descriptors, connections and what was made in Dir. It may be called again and
// concurrently, and takes at most 5 s for each of the process and its readers; the
// error names what would not end.
func (p *Process) Close() error {
	p.closing.Do(func() { p.closed = p.close() })
	return p.closed
}

func (p *Process) close() error {
	r := p.run
	if r.child == nil { // was never forked
		p.client.Kill()
		r.endLife()
		r.out.close()
		r.out.remove()
		return removeSockets(r.spec.Dir)
	}
	if err := r.Kill(context.Background()); err != nil {
		return fmt.Errorf("close plugin %s: pid %d did not end within %v of SIGKILL", r.spec.Path, r.child.pid, killWait)
	}
	if p.client != nil { // an adopted process has none
		p.client.Kill() // the process is gone, so what it asks fails at once
	}
	p.conns.close()
	r.out.remove()
	err := removeSockets(r.spec.Dir)
	if !r.out.await(closeTimeout) {
		err = errors.Join(err, fmt.Errorf("close plugin %s: a reader of its output did not return within %v", r.spec.Path, closeTimeout))
	}
	return err
}

// removeSockets removes what the plugin and go-plugin made in dir.
func removeSockets(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "plugin*"))
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// grpcPlugin makes go-plugin's connection ours.
type grpcPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (grpcPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return errors.New("only plugins serve")
}

func (grpcPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, cc *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(cc), nil
}
