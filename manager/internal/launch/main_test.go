package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/antano/antano/shared"
	"github.com/antano/antano/shared/control"
	"github.com/antano/antano/shared/pluginpb"
)

// childKey selects how the test binary misbehaves when it is run as a plugin.
const childKey = "LAUNCH_TEST_CHILD"

func TestMain(m *testing.M) {
	Help()
	if mode := os.Getenv(childKey); mode != "" {
		runChild(mode)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild is a plugin; mode says what is wrong with it.
func runChild(mode string) {
	socket := os.Getenv(socketDirKey) + "/plugin1"
	switch {
	case strings.HasPrefix(mode, "line:"):
		fmt.Println(strings.ReplaceAll(strings.TrimPrefix(mode, "line:"), "SOCKET", socket))
		select {}
	case strings.HasPrefix(mode, "manager:"):
		runManager(strings.TrimPrefix(mode, "manager:"))
	case strings.HasPrefix(mode, "exit:"):
		fmt.Fprintln(os.Stderr, "first line\nsettings.port: must be\x1b[31m a number")
		var code int
		fmt.Sscan(strings.TrimPrefix(mode, "exit:"), &code)
		os.Exit(code)
	case mode == "silent":
		select {}
	case mode == "close-stdout":
		os.Stdout.Close()
		select {}
	case mode == "crash-after-line":
		fmt.Println("1|1|unix|" + socket + "|grpc|")
		syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case mode == "long-line":
		os.Stdout.WriteString(strings.Repeat("x", 300<<10) + "\n")
		os.Exit(9) // reached only when somebody drains
	case mode == "wrong-cookie":
		serve(server{}, shared.CookieKey, "another cookie")
	case mode == "wrong-version":
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: shared.CookieKey, MagicCookieValue: shared.CookieValue},
			VersionedPlugins: map[int]plugin.PluginSet{2: {pluginName: servePlugin{}}},
			GRPCServer:       plugin.DefaultGRPCServer,
		})
	case mode == "grandchild", mode == "grandchild-session":
		cmd := exec.Command("sleep", "1000")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: mode == "grandchild-session"}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		serve(server{version: fmt.Sprint(cmd.Process.Pid)}, shared.CookieKey, shared.CookieValue)
	default:
		signal.Ignore(syscall.SIGINT)
		serve(server{mode: mode, stdout: os.Stdout, stderr: os.Stderr}, shared.CookieKey, shared.CookieValue)
	}
}

func serve(s server, key, value string) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: key, MagicCookieValue: value},
		VersionedPlugins: map[int]plugin.PluginSet{1: {pluginName: servePlugin{server: s}}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

type servePlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server server
}

func (p servePlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPluginServer(s, p.server)
	return nil
}

func (servePlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("not a host")
}

type server struct {
	pluginpb.UnimplementedPluginServer
	mode, version  string
	stdout, stderr *os.File
}

func (s server) Describe(ctx context.Context, _ *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	d := shared.Description{
		Name: "child", Version: s.version, ServiceType: "child", Transport: shared.TransportNone,
		FormatsIn: []shared.FormatID{1}, FormatsOut: []shared.FormatID{1},
	}
	switch s.mode {
	case "report": // what it was launched with
		dir, _ := os.Getwd()
		status, _ := os.ReadFile("/proc/self/status")
		limits, _ := os.ReadFile("/proc/self/limits")
		d.Settings, _ = json.Marshal(map[string]string{"env": strings.Join(os.Environ(), "\n"), "argv": os.Args[0],
			"dir": dir, "status": string(status), "limits": string(limits)})
	case "describe-rubbish":
		d.Transport = "carrier pigeon"
	case "describe-hang":
		select {} // not until ctx ends: its end and the caller's are a race
	case "describe-exit":
		os.Exit(3)
	case "describe-error":
		return nil, status.Error(codes.Internal, "the disk\x1b[31m is full")
	case "loud":
		s.stdout.WriteString(strings.Repeat("o", 300<<10) + "\n")
		s.stderr.WriteString(strings.Repeat("e", 1<<20) + "\n")
	case "print":
		fmt.Print("printed through ")
		fmt.Fprint(os.Stderr, "complained through ")
		fmt.Println("stdio")
		fmt.Fprintln(os.Stderr, "stdio")
	}
	if s.stdout != nil {
		fmt.Fprintln(s.stdout, "still here")
	}
	return control.FromDescription(d), nil
}

func (s server) Start(_ context.Context, r *pluginpb.StartRequest) (*pluginpb.StartResponse, error) {
	start, err := control.ToStart(r)
	if err == nil && start.Secret[31] != 31 {
		err = errors.New("the secret did not arrive")
	}
	return &pluginpb.StartResponse{}, err
}

func (s server) Drain(_ context.Context, r *pluginpb.DrainRequest) (*pluginpb.DrainResponse, error) {
	return &pluginpb.DrainResponse{Unfinished: uint32(control.ToDrain(r) / time.Second)}, nil
}

func (s server) Stop(context.Context, *pluginpb.StopRequest) (*pluginpb.StopResponse, error) {
	if s.mode == "stop-ignored" {
		return &pluginpb.StopResponse{}, nil
	}
	os.Exit(0)
	return nil, nil
}

func (s server) Clients(_ *pluginpb.ClientsRequest, stream grpc.ServerStreamingServer[pluginpb.Client]) error {
	for i := range 3 {
		if err := stream.Send(&pluginpb.Client{Id: uint64(i), Address: "a"}); err != nil {
			return err
		}
	}
	return nil
}

// spec launches the test binary as a plugin.
func spec(t testing.TB, mode string) Spec {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "l")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Spec{Path: exe, Dir: dir, Env: []string{childKey + "=" + mode}, StartTimeout: 10 * time.Second}
}

// start launches the test binary and closes it when the test ends.
func start(t testing.TB, s Spec) *Process {
	t.Helper()
	p, err := Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// await fails the test when ch is not closed soon.
func await(t testing.TB, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		t.Fatalf("waited 10 s for %s", what)
	}
}

// collect is a Stdout or Stderr that keeps what it reads.
func collect() (func(io.Reader), <-chan string) {
	out := make(chan string, 4)
	return func(r io.Reader) {
		b, _ := io.ReadAll(r)
		out <- string(b)
	}, out
}
