package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/antano/antano/plugin/internal/link"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/pluginpb"
)

const (
	// maxRPC is the largest message of the control plane, both ways.
	maxRPC = 16 << 20
	// answerTime is how long an exit waits for the answer that announced it, and for who
	// reads the log.
	answerTime = 100 * time.Millisecond
	// drainTime and stopTime bound what SIGTERM asks for.
	drainTime = 10 * time.Second
	stopTime  = 3 * time.Second
)

// program is the running plugin process.
type program struct {
	process *Process
	log     *slog.Logger
	lines   io.Writer // what log writes to
	stdout  *os.File
	stderr  *os.File
	server  atomic.Pointer[grpc.Server]
	ending  chan int // the exit code, once known
}

// Main runs s until the process exits.
func Main(s Service) {
	signal.Ignore(os.Interrupt) // before anything that a Ctrl-C could cut short
	stdout, stderr := os.Stdout, os.Stderr
	if os.Getenv(shared.CookieKey) != shared.CookieValue {
		fatal(stderr, 1, fmt.Errorf("this is a plugin of antano and does nothing by itself; put it into the plugin directory and start antano run"))
	}
	if err := checkVersions(os.Getenv(versionsKey)); err != nil {
		fatal(stderr, shared.ExitConfig, err)
	}
	in, err := inherit()
	if err != nil {
		fatal(stderr, 1, err)
	}
	lines, closeLog := newLogWriter(stderr)
	log := slog.New(slog.NewJSONHandler(lines, nil))
	p := &program{process: New(s, in, log), log: log, lines: lines, stdout: stdout, stderr: stderr, ending: make(chan int, 1)}
	terminate := make(chan os.Signal, 2)
	signal.Notify(terminate, syscall.SIGTERM)
	served := make(chan struct{})
	go func() { p.serve(); close(served) }()
	code := p.run(terminate, p.lifeline(in.Lifeline), served)
	closeLog(answerTime)
	os.Exit(code)
}

// fatal ends a process that cannot serve.
func fatal(stderr *os.File, code int, err error) {
	fmt.Fprintf(stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	os.Exit(code)
}

// versionsKey is the environment variable with the versions of the plugin protocol that
// the manager speaks.
const versionsKey = "PLUGIN_PROTOCOL_VERSIONS"

// checkVersions says what is wrong when the manager does not speak ours: go-plugin would
// serve it all the same. Without a list there is nothing to choose from.
func checkVersions(offered string) error {
	if offered == "" || slices.Contains(strings.Split(offered, ","), strconv.Itoa(shared.ProtocolVersion)) {
		return nil
	}
	return fmt.Errorf("this plugin speaks version %d of the plugin protocol, this antano %.80q; install a plugin for it, or an antano that speaks %[1]d",
		shared.ProtocolVersion, offered)
}

// serve is go-plugin's side of the control plane.
func (p *program) serve() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
		VersionedPlugins: map[int]goplugin.PluginSet{
			shared.ProtocolVersion: {"service": controlPlane{rpc: &rpc{process: p.process, exit: p.end, begin: sync.OnceFunc(p.takeOutput)}}},
		},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			s := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxRPC), grpc.MaxSendMsgSize(maxRPC))...)
			p.server.Store(s)
			return s
		},
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: p.lines, JSONFormat: true}),
	})
}

// takeOutput takes back what go-plugin replaced by pipes to a service of its own: what
// is printed there is lost when the process ends, and a long line delays the calls.
func (p *program) takeOutput() { os.Stdout, os.Stderr = p.stdout, p.stderr }

// end notes the exit code; the first one counts.
func (p *program) end(code int) {
	select {
	case p.ending <- code:
	default:
	}
}

// run waits for the end and returns the exit code.
func (p *program) run(terminate <-chan os.Signal, lifeline <-chan error, served <-chan struct{}) int {
	for {
		select {
		case code := <-p.ending:
			p.answer(served)
			return code
		case <-served:
			return p.unserved()
		case <-terminate:
			return p.terminate(terminate)
		case err := <-lifeline:
			if !p.process.Orphaned() {
				return p.lost(err)
			}
		case err := <-p.process.Lost():
			if errors.Is(err, link.ErrAlone) {
				return p.alone(err, terminate)
			}
			return p.lost(err)
		}
	}
}

// answer lets the RPC that ended the process be answered.
func (p *program) answer(served <-chan struct{}) {
	if s := p.server.Load(); s != nil {
		go s.GracefulStop()
	}
	select {
	case <-served:
	case <-time.After(answerTime): // the manager keeps streams open
	}
}

// unserved is the end of a process whose control plane is gone: asked for by the
// manager, or never there.
func (p *program) unserved() int {
	if p.server.Load() == nil {
		fmt.Fprintf(p.stderr, "%s: cannot serve the control plane; is PLUGIN_UNIX_SOCKET_DIR=%s a writable directory with a path of at most 69 bytes?\n",
			filepath.Base(os.Args[0]), os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		return 1
	}
	select {
	case code := <-p.ending:
		return code
	default:
	}
	return p.stop()
}

// terminate drains, unless it is asked twice, and stops.
func (p *program) terminate(again <-chan os.Signal) int {
	p.log.Info("terminating: drain and stop")
	return p.drain(again)
}

// alone is the end of a process that has served on without a manager for as long as it
// was to.
func (p *program) alone(err error, again <-chan os.Signal) int {
	p.log.Error("draining: " + err.Error())
	p.drain(again)
	return 1
}

func (p *program) drain(again <-chan os.Signal) int {
	exitAfter(drainTime + stopTime + time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	go func() {
		select {
		case <-again:
		case <-p.process.Lost():
		case <-ctx.Done():
		}
		cancel()
	}()
	drained := make(chan struct{})
	go func() {
		p.process.Drain(ctx) // an error means that there is nothing to drain
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done(): // a service may not heed it
	}
	return p.stop()
}

// lost is the end of a process whose manager is gone or has cut it off.
func (p *program) lost(err error) int {
	exitAfter(stopTime + time.Second)
	p.log.Error("stopping: " + err.Error())
	p.stop()
	return 1
}

// exitAfter ends the process whatever hangs: a print of the service to its standard error,
// for one, when the FIFO is full and its reader gone.
func exitAfter(d time.Duration) { time.AfterFunc(d, func() { os.Exit(1) }) }

// stop stops the service, which may not heed its context.
func (p *program) stop() int {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- p.process.Stop(ctx) }()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = fmt.Errorf("the service did not stop within %v", stopTime)
	}
	if err != nil {
		p.log.Error("stop: " + err.Error())
		return 1
	}
	return 0
}

// lifeline reports the end of the manager: it holds the other end of a pipe.
func (p *program) lifeline(fd int) <-chan error {
	gone := make(chan error, 1)
	if fd == noFD {
		return gone
	}
	f := os.NewFile(uintptr(fd), "lifeline")
	go func() {
		var b [1]byte
		for {
			if _, err := f.Read(b[:]); err != nil {
				gone <- fmt.Errorf("the manager is gone (lifeline: %v)", err)
				return
			}
		}
	}()
	return gone
}

// controlPlane registers the service with go-plugin.
type controlPlane struct {
	goplugin.NetRPCUnsupportedPlugin
	rpc *rpc
}

func (c controlPlane) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPluginServer(s, c.rpc)
	return nil
}

func (c controlPlane) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("a plugin does not call itself")
}
