package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/antano/antano/plugin/internal/hub"
	"github.com/antano/antano/plugin/internal/peer"
	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/pluginpb"
)

// modeKey makes the test binary a plugin that behaves as the mode says.
const modeKey = "SERVE_TEST_MODE"

func TestMain(m *testing.M) {
	if mode, ok := os.LookupEnv(modeKey); ok {
		Main(childService(mode))
	}
	goleak.VerifyTestMain(m)
}

// mute is a client without a connection.
type mute struct{}

func (mute) Write(messages [][]byte, _ bool) (n int, err error) {
	for _, m := range messages {
		n += len(m)
	}
	return n, nil
}
func (mute) Close() error { return nil }

func childService(mode string) Service {
	say := func(text string) { fmt.Fprintln(os.NewFile(2, "stderr"), text) }
	s := Service{
		Describe: func() shared.Description {
			return shared.Description{Name: "child", Version: "1", ServiceType: "child", Transport: shared.TransportTCP,
				FormatsIn: []shared.FormatID{shared.FormatJSON}, FormatsOut: []shared.FormatID{shared.FormatJSON}}
		},
		Start: func(ctx context.Context, h *hub.Hub, sockets []Socket) error {
			switch mode {
			case "config":
				return fmt.Errorf("settings: %w", ConfigError(errors.New("color must be red")))
			case "broken":
				return errors.New("the moon is missing")
			case "panic in Start":
				panic("out of luck")
			case "slow start":
				<-ctx.Done()
				return ctx.Err()
			}
			e, err := h.NewEndpoint(hub.EndpointConfig{})
			if err != nil {
				return err
			}
			if _, err := e.Connect("somewhere", mute{}); err != nil {
				return err
			}
			for _, s := range sockets {
				flags, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETFD, 0)
				say(fmt.Sprintf("socket %s cloexec=%v err=%v", s.Name, flags&unix.FD_CLOEXEC != 0, err))
			}
			say("started")
			return nil
		},
		Drain: func(context.Context) error { say("drained"); return nil },
		Stop:  func(context.Context) error { say("stopped"); return nil },
	}
	switch mode {
	case "panic in Describe":
		s.Describe = func() shared.Description { panic("out of luck") }
	case "panic in Stop":
		s.AssignSlots = func(uint64) error { panic("out of luck") }
		s.Drain = func(context.Context) error { panic("out of luck") }
		s.Stop = s.Drain
	}
	if mode == "slow drain" {
		s.Drain = func(ctx context.Context) error {
			enough := make(chan os.Signal, 1)
			signal.Notify(enough, syscall.SIGUSR1)
			say("drains")
			select {
			case <-enough:
				say("drained")
			case <-ctx.Done():
				say("gave up")
			}
			return nil
		}
	}
	if mode == "hang" {
		s.Stop = func(context.Context) error { select {} }
	}
	return s
}

// child is a running plugin process.
type child struct {
	t       *testing.T
	cmd     *exec.Cmd
	client  pluginpb.PluginClient
	conn    *grpc.ClientConn
	manager *peer.Manager
	window  time.Duration // how long it looks for a successor of the manager
	done    chan struct{} // closed when it is reaped

	mu     sync.Mutex
	stderr bytes.Buffer
	wrote  chan struct{}
}

func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case c.wrote <- struct{}{}:
	default:
	}
	return c.stderr.Write(p)
}

func (c *child) errors() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr.String()
}

// command prepares a child with what a manager would give it.
func command(t *testing.T, mode string, env []string, files ...*os.File) *child {
	t.Helper()
	dir, err := os.MkdirTemp("", "serve")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &child{t: t, done: make(chan struct{}), wrote: make(chan struct{}, 1)}
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append([]string{modeKey + "=" + mode, shared.CookieKey + "=" + shared.CookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=1", "PLUGIN_UNIX_SOCKET_DIR=" + dir, "HOME=" + dir}, env...)
	c.cmd.ExtraFiles = files
	c.cmd.Stderr = c
	c.manager, err = peer.Listen(filepath.Join(dir, "relay.sock"), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.manager.Close)
	return c
}

// launch starts a child and shakes hands.
func launch(t *testing.T, mode string, env []string, files ...*os.File) *child {
	t.Helper()
	c := command(t, mode, env, files...)
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		io.Copy(io.Discard, out)
		c.cmd.Wait()
		close(c.done)
	}()
	t.Cleanup(func() { c.cmd.Process.Kill(); <-c.done })
	fields := strings.Split(strings.TrimSpace(line), "|")
	if err != nil || len(fields) < 5 || fields[1] != "1" || fields[2] != "unix" || fields[4] != "grpc" {
		t.Fatalf("handshake %q, %v; stderr: %s", line, err, c.errors())
	}
	c.conn, err = grpc.NewClient("unix:"+fields[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	c.client = pluginpb.NewPluginClient(c.conn)
	return c
}

func timeout(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (c *child) start() error {
	c.t.Helper()
	_, err := c.client.Start(timeout(c.t), c.request())
	return err
}

// request is what Start tells.
func (c *child) request() *pluginpb.StartRequest {
	c.t.Helper()
	params := shared.ServiceParams{ID: 2, AntanoServerID: 1, ServiceType: "child", Name: "child", MessageFormatIn: shared.FormatJSON,
		MessageFormatOut: shared.FormatJSON, Processes: 1, Limits: shared.DefaultLimits()}
	request := c.manager.Start(params, 1)
	request.AdoptionWindow = c.window
	in, err := control.FromStart(request)
	if err != nil {
		c.t.Fatal(err)
	}
	return in
}

// mustStart starts the service.
func (c *child) mustStart() {
	c.t.Helper()
	if err := c.start(); err != nil {
		c.t.Fatalf("start: %v; stderr: %s", err, c.errors())
	}
}

func (c *child) drain() {
	c.t.Helper()
	if _, err := c.client.Drain(timeout(c.t), &pluginpb.DrainRequest{DeadlineNs: int64(time.Second)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) stop() {
	c.t.Helper()
	if _, err := c.client.Stop(timeout(c.t), &pluginpb.StopRequest{}); err != nil {
		c.t.Fatal(err)
	}
}

// says waits until stderr has text.
func (c *child) says(text string) {
	c.t.Helper()
	for ctx := timeout(c.t); !strings.Contains(c.errors(), text); {
		select {
		case <-c.wrote:
		case <-ctx.Done():
			c.t.Fatalf("it never says %q; stderr: %s", text, c.errors())
		}
	}
}

// exits waits for the end and checks the code.
func (c *child) exits(code int) {
	c.t.Helper()
	select {
	case <-c.done:
	case <-timeout(c.t).Done():
		c.t.Fatalf("it does not exit; stderr: %s", c.errors())
	}
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		c.t.Errorf("exit code %d, want %d; stderr: %s", got, code, c.errors())
	}
}

// shutdown is what go-plugin's host does at the end.
func (c *child) shutdown() {
	c.conn.Invoke(timeout(c.t), "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
}
